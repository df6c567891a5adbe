"""The kernel: rules, arithmetic and state machines, free of frameworks, I/O, logging and clocks."""
