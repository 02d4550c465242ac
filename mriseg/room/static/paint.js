// Drawing on a label map: a byte a voxel, first axis fastest. No page and no viewer here.

const BONE_OF = { 2: 1, 4: 3, 6: 5 }; // cartilage -> the bone that carries it

export class Drawing {
  constructor(labels, shape, spacing) {
    this.labels = labels;
    this.original = labels.slice();
    this.shape = shape;
    this.spacing = spacing;
    this.strokes = []; // each a Map voxel -> label before
    this.stroke = null;
  }

  index([i, j, k]) {
    return i + this.shape[0] * (j + this.shape[1] * k);
  }

  inside([i, j, k]) {
    return i >= 0 && j >= 0 && k >= 0 && i < this.shape[0] && j < this.shape[1] && k < this.shape[2];
  }

  get changed() {
    return this.strokes.length > 0;
  }

  begin() {
    this.stroke = new Map();
  }

  end() {
    if (this.stroke && this.stroke.size) this.strokes.push(this.stroke);
    this.stroke = null;
  }

  undo() {
    const last = this.strokes.pop();
    if (last) for (const [voxel, label] of last) this.labels[voxel] = label;
    return Boolean(last);
  }

  put(voxel, label) {
    const before = this.labels[voxel];
    if (before === label) return;
    if (!this.stroke.has(voxel)) this.stroke.set(voxel, before);
    this.labels[voxel] = label;
  }

  // A ball, or a disc in the plane with normal `axis`, of `radius` mm. The eraser (label 0) takes `only` away, or all.
  dab(centre, radius, label, { axis = null, guard = false, only = null } = {}) {
    const reach = this.spacing.map((s, a) => (a === axis ? 0 : Math.ceil(radius / s)));
    const at = [0, 0, 0];
    const ring = [];
    for (at[2] = centre[2] - reach[2]; at[2] <= centre[2] + reach[2]; at[2]++)
      for (at[1] = centre[1] - reach[1]; at[1] <= centre[1] + reach[1]; at[1]++)
        for (at[0] = centre[0] - reach[0]; at[0] <= centre[0] + reach[0]; at[0]++) {
          const squared = at.reduce((sum, x, a) => sum + ((x - centre[a]) * this.spacing[a]) ** 2, 0);
          if (squared <= radius * radius && this.inside(at)) ring.push([squared, this.index(at)]);
        }
    if (label === 0) {
      for (const [, voxel] of ring) if (only === null || this.labels[voxel] === only) this.put(voxel, 0);
      return;
    }
    this.fill(ring.map(([, voxel]) => voxel), label, guard);
  }

  // With the guard, cartilage takes only background, and only where it hangs together with its own bone or cartilage.
  fill(voxels, label, guard) {
    const bone = BONE_OF[label];
    if (!guard || bone === undefined) {
      for (const voxel of voxels) this.put(voxel, label);
      return;
    }
    const open = new Set(voxels.filter((v) => this.labels[v] === 0));
    const front = [...open].filter((v) => this.neighbours(v).some((n) => this.labels[n] === bone || this.labels[n] === label));
    while (front.length) {
      const voxel = front.pop();
      if (!open.delete(voxel)) continue;
      this.put(voxel, label);
      for (const n of this.neighbours(voxel)) if (open.has(n)) front.push(n);
    }
  }

  neighbours(voxel) {
    const [ni, nj, nk] = this.shape;
    const i = voxel % ni;
    const j = Math.floor(voxel / ni) % nj;
    const k = Math.floor(voxel / (ni * nj));
    const found = [];
    if (i > 0) found.push(voxel - 1);
    if (i < ni - 1) found.push(voxel + 1);
    if (j > 0) found.push(voxel - ni);
    if (j < nj - 1) found.push(voxel + ni);
    if (k > 0) found.push(voxel - ni * nj);
    if (k < nk - 1) found.push(voxel + ni * nj);
    return found;
  }

  // Voxels that hang together with `start`, differ from it by at most `tolerance`, and lie within `radius` mm.
  grow(start, label, image, { radius, tolerance, guard }) {
    const seed = this.index(start);
    const wanted = image[seed];
    const seen = new Set([seed]);
    const front = [seed];
    const [ni, nj] = this.shape;
    for (let n = 0; n < front.length; n++) {
      for (const next of this.neighbours(front[n])) {
        if (seen.has(next) || Math.abs(image[next] - wanted) > tolerance || (this.labels[next] !== 0 && this.labels[next] !== label)) continue;
        const at = [next % ni, Math.floor(next / ni) % nj, Math.floor(next / (ni * nj))];
        const squared = at.reduce((sum, x, a) => sum + ((x - start[a]) * this.spacing[a]) ** 2, 0);
        if (squared > radius * radius) continue;
        seen.add(next);
        front.push(next);
      }
    }
    this.fill([...seen], label, guard);
  }

  // Slices across `axis` on which `label` was drawn since the map was opened.
  drawnSlices(axis, label) {
    const slices = new Set();
    for (const stroke of this.strokes)
      for (const voxel of stroke.keys())
        if (this.labels[voxel] === label || this.original[voxel] === label) slices.add(this.coordinate(voxel, axis));
    return [...slices].sort((a, b) => a - b);
  }

  coordinate(voxel, axis) {
    const [ni, nj] = this.shape;
    return [voxel % ni, Math.floor(voxel / ni) % nj, Math.floor(voxel / (ni * nj))][axis];
  }

  // Between each two drawn slices the label follows the mean of their signed distances, weighted by nearness.
  fillBetween(axis, label, guard) {
    const slices = this.drawnSlices(axis, label);
    for (let n = 0; n + 1 < slices.length; n++) {
      const [low, high] = [slices[n], slices[n + 1]];
      if (high - low < 2) continue;
      const [near, far] = [this.signed(axis, low, label), this.signed(axis, high, label)];
      for (let at = low + 1; at < high; at++) {
        const w = (at - low) / (high - low);
        const voxels = this.slice(axis, at);
        const wanted = [];
        voxels.forEach((voxel, p) => {
          const value = (1 - w) * near[p] + w * far[p];
          if (value < 0) wanted.push(voxel);
          else if (this.labels[voxel] === label) this.put(voxel, 0);
        });
        this.fill(wanted, label, guard);
      }
    }
  }

  plane(axis) {
    return [0, 1, 2].filter((a) => a !== axis);
  }

  slice(axis, position) {
    const [u, v] = this.plane(axis);
    const voxels = [];
    const at = [0, 0, 0];
    at[axis] = position;
    for (at[v] = 0; at[v] < this.shape[v]; at[v]++)
      for (at[u] = 0; at[u] < this.shape[u]; at[u]++) voxels.push(this.index(at));
    return voxels;
  }

  // Distance in mm to the edge of the label on one slice, negative inside.
  signed(axis, position, label) {
    const [u, v] = this.plane(axis);
    const mask = this.slice(axis, position).map((voxel) => this.labels[voxel] === label);
    const size = [this.shape[u], this.shape[v]];
    const step = [this.spacing[u], this.spacing[v]];
    const outside = squaredDistance(mask, size, step);
    const inside = squaredDistance(mask.map((m) => !m), size, step);
    const half = Math.min(...step) / 2; // distances are between centres of pixels, the edge lies between them
    return outside.map((d, p) => (mask[p] ? half - Math.sqrt(inside[p]) : Math.sqrt(d) - half));
  }
}

// Squared distance in mm to the nearest true pixel (Felzenszwalb and Huttenlocher 2012, doi:10.4086/toc.2012.v008a019).
function squaredDistance(mask, [nu, nv], [su, sv]) {
  const far = 1e12;
  const grid = mask.map((m) => (m ? 0 : far));
  for (let v = 0; v < nv; v++) line(grid, v * nu, 1, nu, su);
  for (let u = 0; u < nu; u++) line(grid, u, nu, nv, sv);
  return grid;
}

function line(grid, start, stride, n, step) {
  const f = Array.from({ length: n }, (_, q) => grid[start + q * stride]);
  const where = [0];
  const from = [-Infinity, Infinity];
  const cross = (q, p) => (f[q] + (q * step) ** 2 - f[p] - (p * step) ** 2) / (2 * step * step * (q - p));
  for (let q = 1; q < n; q++) {
    let s = cross(q, where.at(-1));
    while (s <= from[where.length - 1]) {
      where.pop();
      s = cross(q, where.at(-1));
    }
    where.push(q);
    from[where.length - 1] = s;
    from[where.length] = Infinity;
  }
  for (let q = 0, k = 0; q < n; q++) {
    while (from[k + 1] < q) k++;
    grid[start + q * stride] = ((q - where[k]) * step) ** 2 + f[where[k]];
  }
}
