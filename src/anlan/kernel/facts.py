"""What the kernel says to the others."""
from __future__ import annotations

from uuid import UUID

from .journal import fact


@fact("kernel.PayloadErased")
class PayloadErased:
    """Personal data in a fact's payload were erased because the law asks for it."""

    fact: UUID
    legal_basis: str


@fact("kernel.RealmStarted")
class RealmStarted:
    """An exercise or a replay began in a realm of its own."""

    realm: UUID
    kind: str
    name: str


@fact("kernel.RealmEnded")
class RealmEnded:
    """An exercise or a replay was stopped; nothing more can be done in it."""

    realm: UUID
    name: str
    reason: str


@fact("kernel.WorkOpened")
class WorkOpened:
    """Something began to wait for a person."""

    item: UUID
    kind: str
    about: str
    post: UUID
    level: str
    due_at: str


@fact("kernel.WorkClosed")
class WorkClosed:
    """What waited was done, or was overtaken."""

    item: UUID
    kind: str
    about: str
    outcome: str


@fact("kernel.WorkEscalated")
class WorkEscalated:
    """Nobody answered in time; it now waits for the next post up the line."""

    item: UUID
    kind: str
    about: str
    from_post: UUID
    to_post: UUID


@fact("kernel.WorkUnanswered")
class WorkUnanswered:
    """Nobody answered in time and there is no post further up."""

    item: UUID
    kind: str
    about: str
    post: UUID


@fact("kernel.WorkSeen")
class WorkSeen:
    """A person acknowledged a red item; its sound stops."""

    item: UUID


@fact("kernel.OrderIssued")
class OrderIssued:
    """An order was given to a post, with its deadline and the clause it rests on."""

    order: UUID
    post: UUID
    source: str
    text: str
    clause: str
    due_at: str


@fact("kernel.OrderDelivered")
class OrderDelivered:
    """The order reached a device of the post."""

    order: UUID


@fact("kernel.OrderRead")
class OrderRead:
    """A person of the post opened the order."""

    order: UUID


@fact("kernel.OrderAccepted")
class OrderAccepted:
    """A person of the post accepted the order."""

    order: UUID


@fact("kernel.OrderProgressed")
class OrderProgressed:
    """The post reported progress on the order."""

    order: UUID
    percent: int
    text: str


@fact("kernel.OrderDone")
class OrderDone:
    """The post reported the order done."""

    order: UUID
    text: str


@fact("kernel.OrderRefused")
class OrderRefused:
    """The post refused the order, with a reason."""

    order: UUID
    reason: str


@fact("kernel.OrderWithdrawn")
class OrderWithdrawn:
    """The order was taken back."""

    order: UUID
    reason: str


@fact("kernel.OrderReminded")
class OrderReminded:
    """The order was not answered in time; the post was reminded."""

    order: UUID
    reminder: int


@fact("kernel.OrderEscalated")
class OrderEscalated:
    """The order stayed unanswered; it went up the line."""

    order: UUID
    to_post: UUID


@fact("kernel.OrderOverdue")
class OrderOverdue:
    """The deadline of the order passed and it is not done."""

    order: UUID


@fact("kernel.ReactionParked")
class ReactionParked:
    """A reaction failed again and again on a fact, or a timer on its subject; it waits for a person and blocks only its subject."""

    reaction: str
    fact: UUID | None
    error: str


@fact("kernel.ParkedDecided")
class ParkedDecided:
    """A person let a parked reaction run again, or gave it up and said why."""

    reaction: str
    fact: UUID | None
    outcome: str
    reason: str


@fact("kernel.DutyCalled")
class DutyCalled:
    """Half the time to answer went by in silence: the next person on duty for that post (B role, then the leader in charge) is called by name."""

    post: UUID
    person: UUID
    role: str
    about: str


@fact("kernel.BalancesCopied")
class BalancesCopied:
    """What an exercise starts from was copied out of actual operations: rosters, stocks, states of teams."""

    what: str
    count: int


@fact("kernel.PersonalErased")
class PersonalErased:
    """Personal data were erased because the time they may be kept is over."""

    about: str
    fields: list
    basis: str


@fact("kernel.HeadTaken")
class HeadTaken:
    """The signed head of the journal of this day, on its way out of the house."""

    number: int
    digest: str
    key_id: str


@fact("kernel.HeadExported")
class HeadExported:
    """A head of the journal is where this machine cannot change it."""

    number: int
    where: str


# --- people, places, shift, data ---------------------------------------------------------------------------------------


@fact("kernel.AccountLocked")
class AccountLocked:
    """Too many failed tries: the account is locked for a while."""

    account: UUID
    address: str


@fact("kernel.PasswordChanged")
class PasswordChanged:
    """The password of an account was changed, by its owner or by an administrator."""

    account: UUID
    by_other: bool


@fact("kernel.PinSet")
class PinSet:
    """A person set the PIN for the quick change on the shared duty computer."""

    account: UUID


@fact("kernel.SecondFactorEnrolled")
class SecondFactorEnrolled:
    """An authenticator was bound to an account."""

    account: UUID


@fact("kernel.SessionEnded")
class SessionEnded:
    """A session was ended from another device."""

    account: UUID
    session: UUID


@fact("kernel.PersonChanged")
class PersonChanged:
    """A shared duty computer passed from one person to another; the first one's authority there ended."""

    before: UUID
    after: UUID
    post: UUID


@fact("kernel.TwoPersonAsked")
class TwoPersonAsked:
    """A person asked for an act of power that another must confirm."""

    request: UUID
    kind: str
    reason: str


@fact("kernel.TwoPersonAnswered")
class TwoPersonAnswered:
    """A second person confirmed or refused an act of power, or the first withdrew it."""

    request: UUID
    kind: str
    state: str


@fact("kernel.AccountCreated")
class AccountCreated:
    """An account was made for a person."""

    account: UUID
    person: UUID


@fact("kernel.AccountClosed")
class AccountClosed:
    """An account was closed; its sessions ended."""

    account: UUID


@fact("kernel.SecondFactorReset")
class SecondFactorReset:
    """The second factor of an account was removed, so that its owner can bind another authenticator."""

    account: UUID


@fact("kernel.Assigned")
class Assigned:
    """A person was given a post, from and until when, as A, B or acting."""

    assignment: UUID
    person: UUID
    post: UUID
    role: str
    starts_at: str
    ends_at: str


@fact("kernel.AssignmentEnded")
class AssignmentEnded:
    """A person's time at a post ended."""

    assignment: UUID
    person: UUID
    post: UUID


@fact("kernel.Granted")
class Granted:
    """A post was granted a capability, where, from and until when."""

    grant: UUID
    post: UUID
    capability: str
    region: str
    starts_at: str
    ends_at: str


@fact("kernel.GrantEnded")
class GrantEnded:
    """A grant was taken back."""

    grant: UUID
    post: UUID
    capability: str


@fact("kernel.PartyChanged")
class PartyChanged:
    """An organisation, post or person was entered or changed; which fields, never their personal values."""

    kind: str
    key: UUID
    fields: list


@fact("kernel.PlacesImported")
class PlacesImported:
    """Regions were imported from a file: how many, of which digest, in which frame."""

    file: str
    digest: str
    frame: str
    new: int
    changed: int
    same: int


@fact("kernel.CodesLoaded")
class CodesLoaded:
    """A version of a code list was loaded; in force unless the user has an own version."""

    list: str
    label: str
    digest: str
    in_force: bool


@fact("kernel.RosterChanged")
class RosterChanged:
    """A duty was entered, changed or taken off the roster."""

    entry: UUID
    post: UUID
    person: UUID
    role: str
    change: str


@fact("kernel.RosterImported")
class RosterImported:
    """A duty roster was imported from a spreadsheet: rows taken, digest of the file."""

    digest: str
    new: int
    changed: int
    same: int


@fact("kernel.SwapAsked")
class SwapAsked:
    """A person asked another to take over a duty."""

    swap: UUID
    entry: UUID
    asked_of: UUID


@fact("kernel.SwapAnswered")
class SwapAnswered:
    """A swap of duty was accepted, refused or withdrawn; an accepted one changed the roster."""

    swap: UUID
    entry: UUID
    state: str


@fact("kernel.ShiftNoted")
class ShiftNoted:
    """A line was written into the shift log."""

    note: UUID
    post: UUID
    text: str


@fact("kernel.HandOverWritten")
class HandOverWritten:
    """A shift hand-over was written, with the items open at that moment."""

    hand_over: UUID
    post: UUID
    items: int
    digest: str


@fact("kernel.HandOverSigned")
class HandOverSigned:
    """A person signed the hand-over; with the second signature the shift has passed on."""

    hand_over: UUID
    person: UUID
    side: str
    complete: bool


@fact("kernel.ContactVerified")
class ContactVerified:
    """Somebody checked that a person's contact data are right. Of older journals: contacts are a register now (RegisterRowChanged)."""

    person: UUID


@fact("kernel.NumberShown")
class NumberShown:
    """A masked number was shown for a stated purpose. Of older journals: every register states PersonalShown now."""

    person: UUID
    purpose: str


@fact("kernel.FileAttached")
class FileAttached:
    """A file was attached to a record."""

    file: UUID
    about: str
    digest: str
    size: int


@fact("kernel.FileRemoved")
class FileRemoved:
    """An attachment was taken off its record."""

    file: UUID
    about: str


@fact("kernel.ChannelsHeld")
class ChannelsHeld:
    """After a restore every outward channel was held, because the original may still be running and sending."""

    why: str


@fact("kernel.ChannelsReleased")
class ChannelsReleased:
    """A person let the outward channels send again."""

    why: str


@fact("kernel.PhoneEnrolled")
class PhoneEnrolled:
    """An account installed Anlan on a telephone."""

    device: UUID
    account: UUID
    name: str


@fact("kernel.PhoneRevoked")
class PhoneRevoked:
    """A telephone was withdrawn: nothing is taken from it, and it deletes its copy."""

    device: UUID
    account: UUID
    why: str


@fact("kernel.PhoneSynced")
class PhoneSynced:
    """A batch of operations done on a telephone came in; `offset_s` is how far its clock was behind ours, in seconds."""

    device: UUID
    count: int
    kept: int
    refused: int
    conflicts: int
    offset_s: int
    digest: str


@fact("kernel.EvidenceKept")
class EvidenceKept:
    """Something done in the field was no longer legal when it came in; it was kept for a person to decide."""

    evidence: UUID
    about: str
    code: str


@fact("kernel.EvidenceSettled")
class EvidenceSettled:
    """A person decided about what was kept: taken over, or set aside, with the reason."""

    evidence: UUID
    about: str
    outcome: str
    note: str
