"""The OpenAPI document in docs/, from the table that the app answers by."""

from __future__ import annotations

import json

import wardwright
from wardwright.api import openapi
from wardwright.api.table import ALL


def page() -> str:
    return json.dumps(openapi.document(ALL, wardwright.__version__), indent=1, ensure_ascii=False) + "\n"
