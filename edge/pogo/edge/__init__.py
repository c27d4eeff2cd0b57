"""The edge: ends WebSockets, and writes what the bus delivers to those who subscribed.

It holds its own connections and nothing that another edge needs to survive. A connection begins in
`handshake`, goes on in `connection`, subscribes through the `hub` to a `channel`, and is written
to by the `fanout`; the `sweeper` does everything that has to do with time.
"""
