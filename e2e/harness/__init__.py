"""What the tests stand on: the cluster, the services' outer interfaces, sample applications.

Nothing here knows the inside of a service. Everything a test waits for goes through `waiting`, or
through a watch of the Kubernetes API in `cluster`.
"""
