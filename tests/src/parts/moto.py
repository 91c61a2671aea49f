# moto's own server. It looks at the disk for the folder of each of its services at each call, and at a class for the names of all
# its methods: a third of the time that a call takes. Neither changes while it runs.
import functools
import sys

from moto import backends
from moto.core import responses
from moto.server import main

modules = frozenset(backends.list_of_moto_modules())
backends.list_of_moto_modules = lambda: modules
responses.method_names_from_class = functools.cache(responses.method_names_from_class)
sys.exit(main())
