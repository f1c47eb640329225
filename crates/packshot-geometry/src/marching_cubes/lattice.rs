//! Regular lattices of points and the values on them.

use packshot_core::{Error, Result};

/// Points at `origin + spacing · (i, j, k)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lattice {
    /// The first point.
    pub origin: [f32; 3],
    /// Distance of neighbours along each axis, the same for all.
    pub spacing: f32,
    /// Points along x, y and z.
    pub size: [usize; 3],
}

/// Most points along an axis: keys of edges have 20 bits for each.
const MAX_SIDE: usize = 1 << 20;

impl Lattice {
    /// The lattice of about `cells` cubes along the longest side of the box from `low` to `high`,
    /// with at least `margin` on every side.
    ///
    /// # Errors
    /// As [`Lattice::check`].
    pub fn around(low: [f32; 3], high: [f32; 3], margin: f32, cells: usize) -> Result<Self> {
        let sides: [f32; 3] = std::array::from_fn(|a| high[a] - low[a] + 2.0 * margin);
        let spacing = sides.iter().copied().fold(0.0, f32::max) / cells.max(1) as f32;
        let size = sides.map(|side| (side / spacing - 1e-3).ceil() as usize + 1);
        let origin = std::array::from_fn(|a| {
            0.5 * (low[a] + high[a]) - 0.5 * spacing * (size[a].max(1) - 1) as f32
        });
        let lattice = Self {
            origin,
            spacing,
            size,
        };
        lattice.check()?;
        Ok(lattice)
    }

    /// Checks that there are cubes, and not more than memory can hold.
    ///
    /// # Errors
    /// [`packshot_core::ErrorKind::BadInput`].
    pub fn check(&self) -> Result<()> {
        let finite = self.origin.iter().all(|v| v.is_finite());
        if !finite || !self.spacing.is_finite() || self.spacing <= 0.0 {
            return Err(Error::bad_input(
                "the lattice has no finite place or spacing",
            ));
        }
        if self.size.iter().any(|side| !(2..MAX_SIDE).contains(side)) {
            return Err(Error::bad_input(format!(
                "a lattice of {:?} points has no cubes or too many",
                self.size
            )));
        }
        Ok(())
    }

    /// Where a point is.
    pub fn position(&self, at: [u32; 3]) -> [f32; 3] {
        std::array::from_fn(|axis| self.origin[axis] + at[axis] as f32 * self.spacing)
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.size.iter().product()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Place of a point in a list in which z varies fastest.
    pub fn index(&self, at: [u32; 3]) -> usize {
        (at[0] as usize * self.size[1] + at[1] as usize) * self.size[2] + at[2] as usize
    }

    /// The point at a place in such a list.
    pub fn at(&self, index: usize) -> [u32; 3] {
        let rest = index / self.size[2];
        [
            (rest / self.size[1]) as u32,
            (rest % self.size[1]) as u32,
            (index % self.size[2]) as u32,
        ]
    }
}

const BRICK: u32 = 8;

/// Values that are known at some points of a lattice, kept in bricks that exist where they are
/// needed; NaN stands for a value that is not known.
pub(super) struct SparseValues {
    bricks_along: [usize; 3],
    bricks: Vec<Option<Box<[f32; (BRICK * BRICK * BRICK) as usize]>>>,
    known: usize,
}

impl SparseValues {
    pub(super) fn new(lattice: &Lattice) -> Self {
        let bricks_along = lattice.size.map(|side| side.div_ceil(BRICK as usize));
        Self {
            bricks_along,
            bricks: vec![None; bricks_along.iter().product()],
            known: 0,
        }
    }

    fn place(&self, at: [u32; 3]) -> (usize, usize) {
        let [bx, by, bz] = at.map(|v| (v / BRICK) as usize);
        let [x, y, z] = at.map(|v| (v % BRICK) as usize);
        let side = BRICK as usize;
        let brick = (bx * self.bricks_along[1] + by) * self.bricks_along[2] + bz;
        (brick, (x * side + y) * side + z)
    }

    pub(super) fn get(&self, at: [u32; 3]) -> Option<f32> {
        let (brick, inside) = self.place(at);
        let value = self.bricks.get(brick)?.as_ref()?[inside];
        (!value.is_nan()).then_some(value)
    }

    pub(super) fn set(&mut self, at: [u32; 3], value: f32) {
        let (brick, inside) = self.place(at);
        let brick = self.bricks[brick]
            .get_or_insert_with(|| Box::new([f32::NAN; (BRICK * BRICK * BRICK) as usize]));
        self.known += usize::from(brick[inside].is_nan());
        // A value that is not a number counts as far outside.
        brick[inside] = if value.is_nan() { f32::MIN } else { value };
    }

    pub(super) fn known(&self) -> usize {
        self.known
    }
}
