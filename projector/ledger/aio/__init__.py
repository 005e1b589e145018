"""The asynchronous ledger: the functions of `projector.ledger`, for a `psycopg.AsyncConnection`.

    import psycopg
    from projector.ledger import Effect, aio

    async with await psycopg.AsyncConnection.connect(url) as conn:  # psycopg commits at the end of the block
        await aio.insert(conn, "d-1", caller_id, callee_id, "Summarise the report")
        await aio.heartbeat(conn, "d-1")
        effect = await aio.set_status(conn, "d-1", "completed", result="Three open points")
        assert effect is Effect.ADVANCED

The arguments, results and errors are those of `projector.ledger`. `projector.ledger.aio.audit` has the functions of
`projector.ledger.audit`.
"""

from projector.ledger.aio.rows import heartbeat, insert, set_status

__all__ = ["heartbeat", "insert", "set_status"]
