"""A small shop: what the drill's tests are about."""
