"""The room of RoomPhys: balls that fly, bounce on the floor and roll off a ramp, under a gravity g(z)."""
