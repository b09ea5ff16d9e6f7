"""Every weak spelling of an Ed25519 public key, found by the curve's own arithmetic."""

from keys.openssh import D, P


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The curve's own addition law, RFC 8032 5.1, to find the torsion without the polynomial under test."""
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def multiply(n: int, point: tuple[int, int]) -> tuple[int, int]:
    total = (0, 1)
    for bit in bin(n)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def point_with(y: int) -> tuple[int, int] | None:
    """The point with this y, and the even x (RFC 8032 5.1.3), or None where there is none."""
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if x * x % P != x2:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x, y) if x * x % P == x2 else None


def torsion() -> set[tuple[int, int]]:
    """The eight points of small order: ℓ times any point, until one of order 8 turns up."""
    order = 2**252 + 27742317777372353535851937790883648493
    for y in range(2, 100):
        point = point_with(y)
        if point is None:
            continue
        eighth = multiply(order, point)
        if multiply(4, eighth) != (0, 1):
            return {multiply(n, eighth) for n in range(8)}
    raise AssertionError("no point of order 8 found")


def spellings(y: int) -> list[bytes]:
    """Every 32-byte text that reduces to this y: both signs, and y + p where it fits into 255 bits."""
    return [(v | sign << 255).to_bytes(32, "little") for v in (y, y + P) if v < 2**255 for sign in (0, 1)]


WEAK = sorted({text for _, y in torsion() for text in spellings(y)})
