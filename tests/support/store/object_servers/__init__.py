"""Object stores on loopback, and a proxy that injects faults between a store and its client."""
