"""The wires: HTTP, market streams, the WebSocket API and the control API."""
