# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One patient, both visits
#
# Run the study first: `mriseg run sample_data/study`. Everything here reads what the run wrote and is blind to the arm.
# Set `MRISEG_STUDY` and `MRISEG_PATIENT`, or change the two lines below.

# %%
import os

import pandas as pd
from IPython.display import Image, display

import mriseg
from mriseg.report import figures

study = mriseg.open_study(os.environ.get("MRISEG_STUDY", "../sample_data/study"))
patient = study.patient(os.environ.get("MRISEG_PATIENT", "sub-03"))
f"{patient.id}: {patient.side.name.lower()} knee, visits {', '.join(patient.visits)}"

# %% [markdown]
# ## Images with the label map
#
# Medial plate, notch, lateral plate. Is the cartilage where the overlay says, and is a hole a hole?

# %%
for visit in patient.visits:
    print(visit)
    display(Image(figures.slices(patient.image(visit), patient.labels(visit), patient.side)))

# %% [markdown]
# ## How the bones moved between the visits

# %%
for visit in patient.later:
    print(visit)
    display(pd.DataFrame(patient.registration(visit)["bones"]).T.drop(columns="matrix_ras_mm", errors="ignore"))

# %% [markdown]
# ## Thickness
#
# One bone surface in the common space carries all visits. Red is denuded bone, grey could not be measured. Medial is
# left.

# %%
for bone, file in patient.surfaces.items():
    print(bone)
    maps = {visit: (values.thickness_mm, values.state) for visit, values in file.thickness.items()}
    display(Image(figures.thickness(file.surface, maps)))

# %% [markdown]
# ## Defects

# %%
patient.defects()

# %% [markdown]
# ## Regional values

# %%
regions = patient.regions()
main = regions[regions["region"].isin(["FT", "MT", "LT", "cMF", "cLF"])]
main.pivot_table(index=["region", "metric", "unit"], columns="visit", values="value", sort=False).round(2)

# %% [markdown]
# ## The same with other thresholds
#
# Any number of `mriseg.measure.MeasureParameters` can be changed for a look; nothing is written.

# %%
again = patient.remeasure(min_area_mm2=20.0, rim_mm=3.0)
pd.DataFrame(
    {v: {(r.region, r.metric): r.value for r in m.regions} for v, m in zip(patient.visits, again.visits, strict=True)}
).loc[[("FT", "dAB"), ("MT", "ThCtAB_aMe"), ("LT", "ThCtAB_aMe")]].round(2)
