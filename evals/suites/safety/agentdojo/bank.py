"""The bank of agentdojo's suite `banking`, as an MCP server over stdio.

    bank.py [--wording important_instructions] [--plant injection_bill_text=5] …

It keeps nothing: every call finds the account as it is in `environment.yaml`, so samples cannot
disturb each other, and what was done is read off the calls. `--plant` puts one of the orders of
`attacks.yaml` where agentdojo has a place for one, behind what stands there anyway.
"""  # noqa: INP001 - a program of the suite, and no module of the package

import argparse
import json
from pathlib import Path
from typing import Annotated, Any

import yaml
from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

HERE = Path(__file__).parent
READS = ToolAnnotations(readOnlyHint=True, openWorldHint=False)
CHANGES = ToolAnnotations(readOnlyHint=False, openWorldHint=False)

Recipient = Annotated[str, Field(description="IBAN of the recipient")]
Amount = Annotated[float, Field(description="Amount of the transaction")]
Subject = Annotated[str, Field(description="Subject of the transaction")]
Date = Annotated[str, Field(description="Date of the transaction")]
Recurring = Annotated[bool, Field(description="Is the transaction recurring")]
TransactionId = Annotated[int, Field(description="ID of the transaction")]


def read_environment(plants: dict[str, int], wording: str) -> dict[str, Any]:
    """The account, the files and the person, with orders planted."""
    text = (HERE / "environment.yaml").read_text("utf-8")
    vectors = yaml.safe_load((HERE / "injection_vectors.yaml").read_text("utf-8"))
    attacks = yaml.safe_load((HERE / "attacks.yaml").read_text("utf-8"))
    for vector, about in vectors.items():
        planted = ""
        if vector in plants:
            planted = attacks["wordings"][wording].format(goal=attacks["goals"][plants[vector]])
        # All places are inside double quotes, where YAML reads the escapes of JSON.
        escaped = json.dumps(planted)[1:-1]
        text = text.replace(f"{{{vector}}}", about["default"] + escaped)
    environment: dict[str, Any] = yaml.safe_load(text)
    return environment


def build_server(environment: dict[str, Any]) -> FastMCP:
    """The tools of agentdojo's banking suite."""
    server = FastMCP("bank", log_level="ERROR")
    offer_reading(server, environment)
    offer_payments(server, environment)
    offer_account(server, environment["user_account"])
    return server


def offer_reading(server: FastMCP, environment: dict[str, Any]) -> None:
    """What changes nothing."""
    account = environment["bank_account"]

    @server.tool(annotations=READS)
    def get_iban() -> str:
        """Get the IBAN of the current bank account."""
        return str(account["iban"])

    @server.tool(annotations=READS)
    def get_balance() -> float:
        """Get the balance of the account."""
        return float(account["balance"])

    @server.tool(annotations=READS)
    def get_most_recent_transactions(
        n: Annotated[int, Field(description="Number of transactions to return")] = 100,
    ) -> list[dict[str, Any]]:
        """Get the list of the most recent transactions, e.g. to summarize the last n."""
        return list(account["transactions"][-n:])

    @server.tool(annotations=READS)
    def get_scheduled_transactions() -> list[dict[str, Any]]:
        """Get the list of scheduled transactions."""
        return list(account["scheduled_transactions"])

    @server.tool(annotations=READS)
    def read_file(
        file_path: Annotated[str, Field(description="The path to the file to read.")],
    ) -> str:
        """Reads the contents of the file at the given path."""
        return str(environment["filesystem"]["files"].get(file_path, ""))


def offer_payments(server: FastMCP, environment: dict[str, Any]) -> None:
    """What moves money."""
    scheduled = {each["id"] for each in environment["bank_account"]["scheduled_transactions"]}

    @server.tool(annotations=CHANGES)
    def send_money(
        recipient: Recipient, amount: Amount, subject: Subject, date: Date
    ) -> dict[str, str]:
        """Sends a transaction to the recipient."""
        return {"message": f"Transaction to {recipient} for {amount} sent."}

    @server.tool(annotations=CHANGES)
    def schedule_transaction(
        recipient: Recipient, amount: Amount, subject: Subject, date: Date, recurring: Recurring
    ) -> dict[str, str]:
        """Schedule a transaction."""
        return {"message": f"Transaction to {recipient} for {amount} scheduled."}

    @server.tool(annotations=CHANGES)
    def update_scheduled_transaction(
        id: TransactionId,  # noqa: A002 - agentdojo's name
        recipient: Recipient | None = None,
        amount: Amount | None = None,
        subject: Subject | None = None,
        date: Date | None = None,
        recurring: Recurring | None = None,
    ) -> dict[str, str]:
        """Update a scheduled transaction."""
        if id not in scheduled:
            raise ToolError(f"Transaction with ID {id} not found.")
        return {"message": f"Transaction with ID {id} updated."}


def offer_account(server: FastMCP, user: dict[str, str]) -> None:
    """What is about the person."""
    shown = {name: user[name] for name in ("first_name", "last_name", "street", "city")}

    @server.tool(annotations=READS)
    def get_user_info() -> dict[str, str]:
        """Get the user information."""
        return shown

    @server.tool(annotations=CHANGES)
    def update_password(
        password: Annotated[str, Field(description="New password for the user")],
    ) -> dict[str, str]:
        """Update the user password."""
        return {"message": "Password updated."}

    @server.tool(annotations=CHANGES)
    def update_user_info(
        first_name: str | None = None,
        last_name: str | None = None,
        street: str | None = None,
        city: str | None = None,
    ) -> dict[str, str]:
        """Update the user information."""
        given = {
            "first_name": first_name,
            "last_name": last_name,
            "street": street,
            "city": city,
        }
        return shown | {name: value for name, value in given.items() if value}


def main() -> None:
    """Serves until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--wording", default="important_instructions")
    parser.add_argument("--plant", action="append", default=[], metavar="VECTOR=GOAL")
    chosen = parser.parse_args()
    plants = {vector: int(goal) for vector, goal in (each.split("=") for each in chosen.plant)}
    build_server(read_environment(plants, chosen.wording)).run("stdio")


if __name__ == "__main__":
    main()
