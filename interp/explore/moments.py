"""A moment of a run: what happened in one record, and where the workflow then stood, with all its variables."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, overload

import attrs

from interp.definitions import WorkflowDefinition
from interp.events import Record, Transition
from interp.explore.cards import CARD_STYLE, cards_html, cards_text
from interp.explore.happened import News, happened
from interp.explore.markup import Markup, element
from interp.explore.pictures import FiberAt, FrameAt, Memo, Pending, Picture, pictured, pictured_by_records
from interp.explore.places import Where, index_of, length_of
from interp.explore.run import Run
from interp.explore.sources import stale
from interp.explore.standing import Standing, Trouble, let_go, standing
from interp.explore.values import shown
from interp.explore.view import View
from interp.outline.tree import tree_of
from interp.outline.words import count, span, stamp

__all__ = ["Fibers", "Moment", "moment_at", "moments"]
