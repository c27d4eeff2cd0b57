"""The cluster as its nodes see it: who lives, and what that makes of the registry's entries.

Edges and brokers are nodes. What the registry holds of a node counts while the node lives, so that
every view of the cluster is a pure function of the registry's keys.
"""

from pogo.cluster.feed import LiveFeed, View
from pogo.cluster.listener import Listener
from pogo.cluster.live_nodes import LiveNodes
from pogo.cluster.membership import BROKER, EDGE, TIMING, Membership, Timing
from pogo.cluster.nodes import Node
from pogo.cluster.queries import ChannelCount, Channels, ClusterQueries, Count, Ids
from pogo.cluster.questions import QUESTIONS, Edges, TooManyQuestionsError
from pogo.cluster.views import Following, Views

__all__ = [
    "BROKER",
    "EDGE",
    "QUESTIONS",
    "TIMING",
    "ChannelCount",
    "Channels",
    "ClusterQueries",
    "Count",
    "Edges",
    "Following",
    "Ids",
    "Listener",
    "LiveFeed",
    "LiveNodes",
    "Membership",
    "Node",
    "Timing",
    "TooManyQuestionsError",
    "View",
    "Views",
]
