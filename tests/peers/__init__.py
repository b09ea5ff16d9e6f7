"""Other implementations of our formats, and the tests that exchange files with them."""
