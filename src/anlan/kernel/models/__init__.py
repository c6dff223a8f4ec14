"""The kernel's nouns, one file each; Django looks for them here."""
from .access_log import AccessLog
from .base import RealmRow, Row, SameRealm, ScopedManager, ScopedQuerySet, UnscopedRead
from .codes import Code, CodeList
from .files import Attachment
from .journal import Due, Fact, FactPayload, Head, Operation, Parked, Position, ReactionDone, Seal, Unsealed
from .loops import CaseRow, CaseStep, LoopCounter, LoopRule, Recheck, RecheckDraw
from .parties import Account, Assignment, Grant, Organisation, Person, Post
from .phone import KeptEvidence, PhoneDevice, PhoneFile, PhoneOp
from .places import Region, RegionCode, RegionLink, RegionPath
from .realms import ACTUAL_ID, Installation, Realm
from .registers import FeedEpoch, FieldConflict, Listed, RegisterChange, RegisterRow, SavedView
from .search import SearchEntry
from .shift import HandOver, RosterEntry, ShiftNote, Swap
from .sign_in import SignInSession, SignInTry, TwoPersonRequest
from .work import Order, OrderReceipt, WorkItem

# The application's database role may insert and read these, never change or delete (design §3.9).
APPEND_ONLY = ["kernel_fact", "kernel_seal", "kernel_head", "kernel_accesslog", "kernel_signintry", "kernel_shiftnote"]

__all__ = [
    "CaseRow", "CaseStep", "LoopCounter", "LoopRule", "Recheck", "RecheckDraw",
    "FeedEpoch", "FieldConflict", "Listed", "RegisterChange", "RegisterRow", "SavedView",
    "AccessLog", "Attachment", "Code", "CodeList", "HandOver", "RosterEntry", "SearchEntry", "ShiftNote", "SignInSession", "SignInTry", "Swap",
    "KeptEvidence", "PhoneDevice", "PhoneFile", "PhoneOp", "TwoPersonRequest",
    "ACTUAL_ID", "APPEND_ONLY", "Account", "Assignment", "Due", "Fact", "FactPayload", "Grant", "Head", "Installation", "Operation",
    "Order", "OrderReceipt", "Organisation", "Parked", "Person", "Position", "Post", "ReactionDone", "Realm", "RealmRow", "Region",
    "RegionCode", "RegionLink", "RegionPath", "Row", "SameRealm", "ScopedManager", "ScopedQuerySet", "Seal", "UnscopedRead",
    "Unsealed", "WorkItem",
]
