"""Other registration programs on the same pairs: itk-elastix and antspyx, where they are installed.

    pip install "mriseg[benchmark]"

Both get what is fair: the bone at baseline with a rim of 3 mm as mask, rigid motion, their default schedule for it with
correlation as metric and, for elastix, twice the default iterations. Neither is told the motion of the whole knee.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from registration_pairs import SimulatedVisit
from scipy import ndimage

from mriseg.geometry import RAS_LPS, to_sitk
from mriseg.register.motion import rigid
from mriseg.types import Array, Bone, LabelMap, RigidTransform

Run = Callable[[SimulatedVisit, SimulatedVisit], Mapping[Bone, RigidTransform]]


def peers() -> dict[str, Run]:
    """Programs that are installed; the names of the absent ones are printed."""
    present: dict[str, Run] = {}
    for name, run in (("itk-elastix", elastix), ("antspyx", antspy)):
        try:
            present[f"{name} {version(name)}"] = run
        except PackageNotFoundError:
            print(f"{name} is not installed: left out")
    return present


def load(name: str) -> None:
    """Import a program before its time is taken: elastix alone needs 20 s to load."""
    if name.startswith("itk-elastix"):
        import itk

        assert itk.ParameterObject
        assert itk.elastix_registration_method
    elif name.startswith("antspyx"):
        import ants

        assert ants.registration


def elastix(one: SimulatedVisit, two: SimulatedVisit) -> Mapping[Bone, RigidTransform]:
    """Rigid elastix (Klein et al. 2010, doi:10.1109/TMI.2009.2035616), baseline fixed."""
    import itk

    fixed, moving = (_itk_image(v.volume.data, v) for v in (one, two))
    parameters = itk.ParameterObject.New()
    schedule = parameters.GetDefaultParameterMap("rigid", 4)
    schedule["Metric"] = ["AdvancedNormalizedCorrelation"]
    schedule["MaximumNumberOfIterations"] = ["512"]
    schedule["WriteResultImage"] = ["false"]
    schedule["ErodeMask"] = ["false"]  # otherwise nothing of the mask of a bone is left in the coarse resolutions
    parameters.AddParameterMap(schedule)
    result = {}
    for bone in Bone:
        mask = _itk_image(_mask(one.labels, bone), one)
        _, found = itk.elastix_registration_method(
            fixed, moving, parameter_object=parameters, fixed_mask=mask, log_to_console=False
        )
        values = found.GetParameterMap(0)
        angles = [float(v) for v in values["TransformParameters"]]
        centre = np.array([float(v) for v in values["CenterOfRotationPoint"]])
        euler = itk.Euler3DTransform[itk.D].New()
        euler.SetRotation(*angles[:3])
        result[bone] = _from_lps(itk.array_from_matrix(euler.GetMatrix()), centre, np.array(angles[3:]))
    return result


def antspy(one: SimulatedVisit, two: SimulatedVisit) -> Mapping[Bone, RigidTransform]:
    """Rigid ANTs (Avants et al. 2011, doi:10.1016/j.neuroimage.2010.09.025), baseline fixed."""
    import ants
    import SimpleITK as sitk

    fixed, moving = (ants.from_sitk(to_sitk(v.volume.data, v.volume.grid)) for v in (one, two))
    result = {}
    for bone in Bone:
        mask = ants.from_sitk(to_sitk(_mask(one.labels, bone), one.volume.grid))
        found = ants.registration(fixed, moving, type_of_transform="Rigid", mask=mask, aff_metric="GC", random_seed=1)
        transform = sitk.ReadTransform(found["fwdtransforms"][0])
        points = [transform.TransformPoint(p) for p in np.vstack([np.zeros(3), np.eye(3)]).tolist()]
        rotation = (np.array(points[1:]) - points[0]).T
        result[bone] = _from_lps(rotation, np.zeros(3), np.array(points[0]))
    return result


def _mask(labels: LabelMap, bone: Bone) -> Array:
    reach = np.ceil(3.0 / labels.grid.spacing_mm).astype(int)
    mask = labels.data == bone.label
    return np.asarray(ndimage.maximum_filter(mask, size=(2 * reach + 1).tolist())).astype(np.uint8)


def _itk_image(data: Array, visit: SimulatedVisit) -> object:
    import itk

    grid = visit.volume.grid
    image = itk.image_from_array(np.ascontiguousarray(data.transpose(2, 1, 0)))
    affine = RAS_LPS @ grid.affine
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection(itk.matrix_from_array(np.ascontiguousarray(affine[:3, :3] / grid.spacing_mm)))
    return image


def _from_lps(rotation: Array, centre: Array, shift: Array) -> RigidTransform:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = centre + shift - rotation @ centre
    return rigid(RAS_LPS @ matrix @ RAS_LPS)
