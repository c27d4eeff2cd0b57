"""The edge: ends WebSockets, and writes what the bus delivers to those who subscribed.

It holds its own connections and nothing that another edge needs to survive. A connection begins in
`handshake`, passes `admission`, and goes on in `connection`. What it asks goes to the `hub`: its
`subscriptions` are to a `channel` of the `channel_table`, which the bus delivers to and the
`fanout` writes to its subscribers. The `sweeper` does everything that has to do with time.
"""
