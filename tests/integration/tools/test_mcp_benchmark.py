from bench.mcp import run


async def test_the_benchmark_compares_every_transport_one_by_one_and_many_at_once() -> None:
    results = await run(batches=1, calls=2, adapter_calls=1, many=2)

    measured = [(each.transport, each.at_once, each.adapters is not None) for each in results]
    assert measured == [
        ("memory", 1, False),
        ("stdio", 1, True),
        ("http", 1, True),
        ("memory", 2, False),
        ("stdio", 2, False),
        ("http", 2, True),
    ]
    assert all(each.ratio > 0 and each.cpu_ratio > 0 for each in results)
