"""Volume to label map: the shipped network, a site's own network, or the masks of readers."""

from mriseg.segment.network import Network, NetworkSpec, load_network, spec_of
from mriseg.segment.readers import adopt_mask
from mriseg.segment.rules import rules_of
from mriseg.segment.segmenter import Segmentation, segment, segment_visits

__all__ = [
    "Network",
    "NetworkSpec",
    "Segmentation",
    "adopt_mask",
    "load_network",
    "rules_of",
    "segment",
    "segment_visits",
    "spec_of",
]
