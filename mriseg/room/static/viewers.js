// Two viewers of one grid: what one shows, the other shows at the same place.

import * as api from "./api.js";

const PLANES = { axial: 0, coronal: 1, sagittal: 2, multi: 3, surface: 4 };
const ALMOST_CLEAR = 0.004;
const THREE_PLANES = [
  { sliceType: 2, position: [0, 0, 1, 0.6] },
  { sliceType: 1, position: [0, 0.6, 0.5, 0.4] },
  { sliceType: 0, position: [0.5, 0.6, 0.5, 0.4] },
];
const OPTIONS = {
  backColor: [0, 0, 0, 1],
  crosshairColor: [1, 0.85, 0.2, 0.9],
  crosshairWidth: 1,
  crosshairGap: 8,
  sagittalNoseLeft: true,
  isRadiologicalConvention: true,
  isOrientCube: false,
  dragAndDropEnabled: false,
  viewModeHotKey: "",
  clipPlaneHotKey: "",
  cycleClipPlaneHotKey: "",
  multiplanarShowRender: 0,
  meshThicknessOn2D: 0,
  show3Dcrosshair: true,
  logLevel: "error",
};

export class Viewer {
  constructor(figure, colours) {
    this.figure = figure;
    this.canvas = figure.querySelector("canvas");
    this.caption = figure.querySelector("figcaption");
    this.colours = colours;
    this.nv = new globalThis.niivue.Niivue(OPTIONS);
    this.meshesOf = "";
  }

  async attach() {
    await this.nv.attachToCanvas(this.canvas);
    this.nv.setDrawColormap(this.colours);
  }

  // Between the two nothing is drawn: a visit that is loaded changes a dozen things and is worth one picture.
  hold() {
    this.nv.drawScene = () => {};
  }

  release() {
    delete this.nv.drawScene;
    this.nv.drawScene();
  }

  async show(address, [black, white], labels) {
    await this.nv.loadVolumes([{ url: address, name: "image.nii", colormap: "gray", cal_min: black, cal_max: white }]);
    this.nv.createEmptyDrawing();
    this.setLabels(labels);
  }

  setLabels(labels) {
    this.nv.drawBitmap = labels;
    this.nv.refreshDrawing(true);
  }

  refresh() {
    this.nv.refreshDrawing(true);
  }

  window(black, white) {
    const [volume] = this.nv.volumes;
    if (!volume || (volume.cal_min === black && volume.cal_max === white)) return;
    volume.cal_min = black;
    volume.cal_max = white;
    this.nv.updateGLVolume();
  }

  overlay(kind, opacity) {
    this.nv.drawRimOpacity = kind === "outline" ? opacity : -1;
    // The viewer draws a rim only where the inside is not wholly clear.
    this.nv.setDrawOpacity({ fill: opacity, outline: ALMOST_CLEAR, off: 0 }[kind]);
  }

  plane(name) {
    this.nv.setSliceType(PLANES[name]);
    if (name === "multi") this.nv.setCustomLayout(THREE_PLANES);
    else this.nv.clearCustomLayout();
  }

  get image() {
    return this.nv.volumes[0].img;
  }

  // Voxel under a pointer and the axis across its plane; null outside of the image.
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.nv.uiData.dpr || 1;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    for (let tile = 0; tile < this.nv.screenSlices.length; tile++) {
      const across = this.nv.screenSlices[tile].axCorSag;
      if (across > 2) continue;
      const fraction = this.nv.screenXY2TextureFrac(x, y, tile, true);
      if (fraction[0] >= 0) return { voxel: [...this.nv.frac2vox(fraction)], axis: 2 - across };
    }
    return null;
  }

  get voxel() {
    return [...this.nv.frac2vox(this.nv.scene.crosshairPos)];
  }

  moveTo(mm) {
    this.nv.scene.crosshairPos = this.nv.mm2frac(mm);
    this.nv.drawScene();
  }

  follow(other) {
    this.nv.scene.crosshairPos = [...other.nv.scene.crosshairPos];
    this.nv.scene.pan2Dxyzmm = [...other.nv.scene.pan2Dxyzmm];
    this.nv.drawScene();
  }

  async surfaces(addresses) {
    const key = addresses.join();
    if (this.meshesOf === key) return;
    for (const mesh of [...this.nv.meshes]) this.nv.removeMesh(mesh);
    await this.nv.loadMeshes(addresses.map((url) => ({ url, name: "bone.mz3" })));
    this.meshesOf = key;
  }

  forgetSurfaces() {
    for (const mesh of [...this.nv.meshes]) this.nv.removeMesh(mesh);
    this.meshesOf = "";
  }
}

export class Pair {
  constructor(left, right, labels) {
    const colours = { R: [0], G: [0], B: [0], A: [0], labels: ["background"] };
    for (const { name, colour } of labels) {
      ["R", "G", "B"].forEach((c, n) => colours[c].push(parseInt(colour.slice(1 + 2 * n, 3 + 2 * n), 16)));
      colours.A.push(255);
      colours.labels.push(name);
    }
    this.viewers = [new Viewer(left, colours), new Viewer(right, colours)];
    this.plane = "multi";
    this.beside = true;
  }

  async attach() {
    for (const [n, viewer] of this.viewers.entries()) {
      await viewer.attach();
      viewer.nv.onLocationChange = () => this.beside && this.viewers[1 - n].nv.volumes.length && this.viewers[1 - n].follow(viewer);
    }
  }

  each(act) {
    this.viewers.forEach(act);
  }

  overlay(kind, opacity) {
    this.each((viewer) => viewer.overlay(this.plane === "surface" ? "off" : kind, opacity));
  }

  async setPlane(name, scene) {
    this.plane = name;
    if (name === "surface" && scene) {
      for (const [n, viewer] of this.viewers.entries()) {
        const visit = scene.pair[n];
        if (!visit) continue;
        await viewer.surfaces(visit.surfaces.map((bone) => api.surfaceAddress(scene.participant, visit.name, bone, scene.shown)));
        viewer.nv.setOpacity(0, 0);
      }
    } else this.each((viewer) => viewer.nv.volumes.length && viewer.nv.setOpacity(0, 1));
    this.each((viewer) => viewer.plane(name));
  }
}
