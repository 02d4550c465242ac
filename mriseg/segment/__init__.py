"""Volume to label map: the shipped network, a site's own network, or the masks of readers."""
