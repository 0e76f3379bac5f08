"""A controller on a real database, reached over real mTLS: fixture `served`."""

from __future__ import annotations

from tests.controller.served import served as served
