"""The review page and its HTTP API: state in one folder, one model behind a queue. See docs/server.md."""
