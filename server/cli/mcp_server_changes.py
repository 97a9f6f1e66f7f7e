"""`youworker mcp servers add` and `change`: how MCP servers are reached, and for whom they are."""

from typing import Annotated, Any

import typer

from server.cli.connection import KeyOption, connect
from server.cli.mcp_entry import (
    AddressOption,
    CommandOption,
    EntryOptions,
    EnvFileOption,
    EnvOption,
    FromFileOption,
    HeaderFileOption,
    HeaderOption,
    SessionOption,
    SettingOption,
    make_entry,
)
from server.cli.mcp_lookup import SERVERS, find_server
from server.cli.mcp_server_view import print_server
from server.cli.mcp_servers import NameArgument

ArgumentsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ARGS", help="What --command is given, after --.")
]
GroupOption = Annotated[
    list[int] | None,
    typer.Option("--group", metavar="ID", help="Only for members of this group; may be repeated."),
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        "--youworker-url",
        envvar="YOUWORKER_URL",
        help="The YouWorker server: --url is the MCP server's here.",
    ),
]


def add_server(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its tools are called NAME.tool.")],
    arguments: ArgumentsArgument = None,
    server_url: AddressOption = None,
    command: CommandOption = None,
    header: HeaderOption = None,
    header_file: HeaderFileOption = None,
    env: EnvOption = None,
    env_file: EnvFileOption = None,
    from_file: FromFileOption = None,
    session: SessionOption = None,
    setting: SettingOption = None,
    group: GroupOption = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not use it yet.")] = False,
    url: WhereOption = None,
    key: KeyOption = None,
) -> None:
    """Add a server; runs that begin from now on have its tools.

    youworker mcp servers add intranet --url https://tools.example.org/mcp --header-file secrets

    youworker mcp servers add files --command npx -- -y some-server /srv/files
    """
    entry = make_entry(
        name,
        EntryOptions(
            url=server_url,
            command=command,
            arguments=arguments,
            headers=header,
            header_file=header_file,
            env=env,
            env_file=env_file,
            from_file=from_file,
            session=session,
            settings=setting,
        ),
    )
    if entry is None:
        raise typer.BadParameter("give --url, --command or --from-file")
    body = {"name": name, "config": entry, "groups": group or None, "enabled": not disabled}
    with connect(url, key) as api:
        print_server(api.request("POST", SERVERS, json=body))


def change_server(
    name: NameArgument,
    arguments: ArgumentsArgument = None,
    server_url: AddressOption = None,
    command: CommandOption = None,
    header: HeaderOption = None,
    header_file: HeaderFileOption = None,
    env: EnvOption = None,
    env_file: EnvFileOption = None,
    from_file: FromFileOption = None,
    session: SessionOption = None,
    setting: SettingOption = None,
    group: GroupOption = None,
    everybody: Annotated[bool, typer.Option("--everybody", help="Open it to everybody.")] = False,
    nobody: Annotated[bool, typer.Option("--nobody", help="Close it to everybody.")] = False,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Switch it on or off.")
    ] = None,
    url: WhereOption = None,
    key: KeyOption = None,
) -> None:
    """Change whom a server is for, whether it is on, or how it is reached.

    How it is reached is given as a whole, secrets included: they are not known here.
    """
    if bool(group) + everybody + nobody > 1:
        raise typer.BadParameter("--group, --everybody and --nobody exclude each other")
    entry = make_entry(
        name,
        EntryOptions(
            url=server_url,
            command=command,
            arguments=arguments,
            headers=header,
            header_file=header_file,
            env=env,
            env_file=env_file,
            from_file=from_file,
            session=session,
            settings=setting,
        ),
    )
    body: dict[str, Any] = {} if entry is None else {"config": entry}
    if group or everybody or nobody:
        body["groups"] = None if everybody else group or []
    if enabled is not None:
        body["enabled"] = enabled
    if not body:
        raise typer.BadParameter("give what is to change")
    with connect(url, key) as api:
        print_server(api.request("PATCH", f"{SERVERS}/{find_server(api, name)['id']}", json=body))
