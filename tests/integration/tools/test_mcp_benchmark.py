from bench.mcp_calls import run


async def test_the_benchmark_compares_every_transport() -> None:
    results = await run(batches=1, calls=2)

    assert [result.transport for result in results] == ["memory", "stdio", "http"]
    assert all(result.ratio > 0 for result in results)
