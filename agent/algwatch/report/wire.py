# SPDX-License-Identifier: Apache-2.0
"""The wire format: names, limits and the decoder of every MQTT payload of algwatch. Both ends
import this module, and neither imports more of the other; report/schema.py lists each field.

Payloads are msgpack maps with text keys. `schema` stands for the meaning of the fields, and is in
the topic, too: a reader takes no other. `revision` counts additions: a reader ignores unknown
fields, and accepts the absence of known ones. So readers and routers of all revisions understand
each other.
"""

from __future__ import annotations

import msgpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA = 1
REVISION = 3  # 1 had no `revision`
ROOT = f"algwatch/{SCHEMA}"
CONTENT_TYPE = "application/msgpack"
MAX_PAYLOAD = 16384  # bytes; brokers and constrained readers may rely on it


def topic(cpe: str, kind: str) -> str:
    """kind: state, finding, advice, health, reply, or cmd (read by the router)."""
    return f"{ROOT}/{cpe}/{kind}"


class SchemaError(ValueError):
    """The payload is not one of ours; the text says why."""


def decode(payload: bytes) -> dict[str, Any]:
    """One payload as a dict; unknown fields stay as they are.

    Raises SchemaError if it is no msgpack map, too long, or of another schema number. Safe on
    hostile input: a payload takes no more memory than its own length warrants.
    """
    if len(payload) > MAX_PAYLOAD:
        raise SchemaError(f"{len(payload)} bytes: longer than a report ever is")
    try:
        body = msgpack.unpackb(
            payload,
            raw=False,
            unicode_errors="replace",
            strict_map_key=False,
            max_array_len=MAX_PAYLOAD,
            max_map_len=MAX_PAYLOAD,
            max_ext_len=0,
        )
    except Exception as problem:  # msgpack raises a dozen kinds, TypeError among them
        raise SchemaError(f"not a msgpack payload: {problem or type(problem).__name__}") from None
    if not isinstance(body, dict):
        raise SchemaError("not a map")
    schema = body.get("schema")
    if schema != SCHEMA or type(schema) is not int:
        raise SchemaError(f"schema {str(schema)[:40]} is not {SCHEMA}")
    return body
