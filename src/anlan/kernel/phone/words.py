"""The telephone's words, translated by the server and carried in the app's page; and sentences for what it states."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop as noop

from .. import shell

shell.words_for({
    "kernel.PhoneEnrolled": _("The phone app was installed: {name}"),
    "kernel.PhoneRevoked": _("A telephone was withdrawn: {why}"),
    "kernel.PhoneSynced": _("{count} operations came in from a telephone; {kept} kept for a decision, {conflicts} disputed, {refused} refused"),
    "kernel.EvidenceKept": _("Kept from the field for a decision: {about}"),
    "kernel.EvidenceSettled": _("Decided about what came from the field: {note}"),
})

# Every sentence the scripts say, by its English; a test compares.
WORDS: tuple[str, ...] = (
    noop("is missing"), noop("a whole number is wanted"), noop("a number is wanted"), noop("less than {limit}"), noop("more than {limit}"),
    noop("a telephone number is wanted"), noop("an address beginning with http:// or https:// is wanted"), noop("longer than {limit} characters"),
    noop("does not have the form asked for"), noop("Longitude"), noop("Latitude"), noop("Looking for this place."),
    noop("This device does not say where it is. Type the position, or allow it in the browser."), noop("to about {n} m"), noop("Where I stand"),
    noop("Orders"), noop("Map"), noop("Report"), noop("Me"), noop("Parts of the app"), noop("Back"), noop("{n} not sent"), noop("{n} to answer"),
    noop("No network"), noop("Sending {done} of {of}"), noop("Sending photograph {done} of {of}"), noop("Taking along what is new"),
    noop("Signed out. Sign in to send and receive."), noop("Something waits for your second factor."), noop("The link broke. Trying again {when}"),
    noop("Up to date, {when}"), noop("No network. Go on working; what you do is kept here and sent by itself."), noop("Replay"), noop("Exercise"),
    noop("This device was cleared"), noop("Anlan on this telephone"),
    noop("Sign in once with a network. Then your orders, registers and forms are kept here and work without one."), noop("Sign in"),
    noop("There is no network now."), noop("Its account was closed or the device withdrawn."), noop("Map. Arrow keys move, plus and minus zoom."),
    noop("Closer"), noop("Farther"), noop("Whole area"), noop("Scan a label or type its code"), noop("Code"), noop("Code on the label"),
    noop("No entry with this label is on the device."), noop("This browser cannot read QR codes. Type the code printed on the label."),
    noop("Hold the label before the camera."), noop("The camera is not allowed or busy. Type the code printed on the label."), noop("Open"),
    noop("This is not on the device. It may have been closed, or needs a network."), noop("not sent yet"), noop("New"), noop("Read"),
    noop("Accepted"), noop("In progress"), noop("Done"), noop("Refused"), noop("Withdrawn"), noop("No order was closed in the last days."),
    noop("No open orders."), noop("Cases with me"), noop("Waits for my post"), noop("Words"), noop("Progress"), noop("Accept the order"),
    noop("Choose how far it is."), noop("Report progress"), noop("It is done"), noop("To"), noop("Place"), noop("Issued"), noop("By"), noop("Clause"),
    noop("Deadline"), noop("Answers"), noop("Reason"), noop("It cannot be done"), noop("Refuse with this reason"), noop("with place"),
    noop("without place"), noop("Remove this photograph"), noop("{name} is no photograph this device can read."), noop("Take a photograph"),
    noop("{n} here"), noop("This device does not say where it is. Allow it in the browser."), noop("Layers"),
    noop("No boundaries of your regions are on this device."), noop("Photograph first, words later. Time and place are kept with it."),
    noop("What is it?"), noop("New entry: {what}"), noop("Nothing can be reported from here yet. Take the copy along with a network first."),
    noop("Open by label"), noop("Drafts"), noop("Draft"), noop("{n} photographs"), noop("{n} entries are missing or wrong."),
    noop("{n} photographs are needed."), noop("Kept. It is sent as soon as there is a network."), noop("With"), noop("Add a remark or photographs"),
    noop("What happened"), noop("Remark"), noop("Nothing yet."), noop("Add it"), noop("Registers"), noop("No register is on this device."),
    noop("Name or code"), noop("Search"), noop("not verified lately"), noop("Nothing of that name is on this device."),
    noop("{n} more; type more of the name."), noop("Position"), noop("Last verified"), noop("never"), noop("Change"), noop("Kept as verified today."),
    noop("All of it is right: verified"), noop("Personal data are masked on the telephone; the desk shows them to who may see them."),
    noop("Enter it"), noop("Change it"), noop("Waits for a network"), noop("Waits"), noop("Done; others changed other fields"),
    noop("Disputed: somebody changed the same field. Its owner decides."), noop("No longer possible by itself. It is kept, and a person decides."),
    noop("Not taken. Correct it or drop it."), noop("Waits for your second factor."), noop("Waits for its photographs"), noop("Order delivered"),
    noop("Order read"), noop("Order accepted"), noop("Progress of an order"), noop("Order done"), noop("Order refused"),
    noop("New entry in a register"), noop("Change in a register"), noop("Entry verified"), noop("Case opened"), noop("Step of a case"),
    noop("Remark on a case"), noop("{n} photographs to send"), noop("Correct it"),
    noop("“{what}” of {time} will be gone for good, with its photographs."), noop("Drop it"), noop("and {n} more"), noop("What I did"),
    noop("Send now"), noop("Not sent"), noop("Needs attention"), noop("Sent"), noop("Nothing done here waits to be sent."),
    noop("Copy on this device"), noop("Last taken along"), noop("Register entries"), noop("Space used"), noop("{got} of {of}"),
    noop("Take along for the shift"), noop("My devices"), noop("Sign out and clear this device"),
    noop("A copy that finds no network for {n} days deletes itself. What you did stays until it is sent."),
    noop("{n} things are not sent and will be lost."), noop("The copy on this device is deleted."), noop("{time} ({age})"), noop("now"),
    noop("{n} min ago"), noop("in {n} min"), noop("{n} h ago"), noop("in {n} h"), noop("{n} days ago"), noop("in {n} days"), noop("Leave it"),
    noop("Close"), noop("yes"), noop("no"),
)
