"""The exactly-once protocol as a pure model, searched exhaustively and bound to the code. Read docs/protocol.md first."""
