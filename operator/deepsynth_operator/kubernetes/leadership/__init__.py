"""Which of several operator processes works: the one that holds a Lease, renewed every two seconds.

    lease.py      the Lease object, read and written through the API server
    election.py   when to take it, how long it counts, and when to drop out

Nothing here knows what the leader does. What must not happen without the Lease asks `Election.require`.
"""
