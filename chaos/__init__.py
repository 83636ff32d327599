"""The chaos suite: real servers, real faults, and a count of every notification (``make chaos``).

    python -m chaos                   every fault, then the table
    python -m chaos F1 F3 --quick     these, in small
    python -m chaos --only-ours       without the systems that Livebell is compared with

runner     runs faults one after the other, prints the table
one        one fault in a process of its own
rig        what a fault needs: databases, Redis, servers, people
scene      clients that are connected and publishers that publish, from the beginning to the count
clients    a crowd of WebSocket clients with an apply log each; wire is one connection
publisher  a process that publishes and keeps a ledger
proxy      a link that can be broken in six ways
count      what was lost, doubled, invented, out of order, or miscounted
without    defences of Livebell, and how to take them away from outside
faults/    one file per fault, each with a control: the defence off, and the count must show it
"""
