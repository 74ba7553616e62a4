"""The exercises of the problem sets, `ps1` to `ps8`; the other modules hold parts of them that are long."""
