"""The fast twins: each has a plain twin, and a test that both agree. A reader may skip them."""
