"""What a label map of a knee must look like: which side it shows, and what contradicts anatomy."""

from mriseg.anatomy.examine import Examination, examine
from mriseg.anatomy.side import SideOpinion, other, side_of

__all__ = ["Examination", "SideOpinion", "examine", "other", "side_of"]
