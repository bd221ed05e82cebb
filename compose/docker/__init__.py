"""The stack in containers: what `make up` does when a Docker engine answers."""
