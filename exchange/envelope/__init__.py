"""What travels: envelopes, manifests, receipts and the payloads of control messages, as bytes."""
