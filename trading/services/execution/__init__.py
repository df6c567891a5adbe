"""From a reserved order to its end: authorise, send once, settle, resolve what is not known."""
