//! MTL libraries: what OBJ materials mean.

use super::scanner::{Line, Lines};
use crate::input::read_file;
use crate::picture_in::read_texture;
use crate::uri::resolve_path;
use crate::words::shorten;
use packshot_core::Result;
use packshot_geometry::{AlphaMode, Material, Texture, Wrap};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Notes kept; a broken file could cause one for every line.
const MAX_NOTES: usize = 8;
/// Decoded bytes of all pictures of a file together.
const MAX_PIXEL_BYTES: usize = 1 << 30;

/// A material as its library describes it.
#[derive(Clone, Debug)]
struct Definition {
    material: Material,
    /// File name of the base-colour picture and whether it is clamped.
    picture: Option<(String, bool)>,
    /// A picture of the alpha is named: the base-colour picture's own counts then.
    has_alpha_picture: bool,
}

/// The libraries of an OBJ file and the materials that its faces use.
pub(super) struct Library<'a> {
    folder: Option<&'a Path>,
    loaded: BTreeSet<String>,
    definitions: HashMap<String, Definition>,
    /// Names in the order of their first use; `None` for faces before any `usemtl`.
    used: Vec<Option<String>>,
    slots: HashMap<Option<String>, u32>,
    chosen: Option<String>,
    /// Slot of `chosen`, once a face has used it.
    chosen_slot: Option<u32>,
    notes: Vec<String>,
    materials: Vec<Material>,
    textures: Vec<Texture>,
}

impl<'a> Library<'a> {
    pub(super) fn new(folder: Option<&'a Path>) -> Self {
        Self {
            folder,
            loaded: BTreeSet::new(),
            definitions: HashMap::new(),
            used: Vec::new(),
            slots: HashMap::new(),
            chosen: None,
            chosen_slot: None,
            notes: Vec::new(),
            materials: Vec::new(),
            textures: Vec::new(),
        }
    }

    /// `usemtl`: the faces that follow have this material.
    pub(super) fn choose(&mut self, name: &str) {
        self.chosen = Some(name.to_owned());
        self.chosen_slot = None;
    }

    /// The slot of the chosen material.
    pub(super) fn chosen(&mut self) -> u32 {
        if let Some(slot) = self.chosen_slot {
            return slot;
        }
        let slot = match self.slots.get(&self.chosen) {
            Some(&slot) => slot,
            None => {
                let slot = self.used.len() as u32;
                self.used.push(self.chosen.clone());
                self.slots.insert(self.chosen.clone(), slot);
                slot
            }
        };
        self.chosen_slot = Some(slot);
        slot
    }

    /// `mtllib`: one file name, which may hold spaces, or several.
    pub(super) fn load(&mut self, names: &str) {
        if !self.loaded.insert(names.to_owned()) {
            return;
        }
        if let Ok(bytes) = self.read(names) {
            return self.define(&bytes);
        }
        for name in names.split_ascii_whitespace() {
            match self.read(name) {
                Ok(bytes) => self.define(&bytes),
                Err(e) => self.note(format!("material library left out: {e}")),
            }
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        read_file(&resolve_path(name, self.folder)?)
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn define(&mut self, bytes: &[u8]) {
        let mut open: Option<Definition> = None;
        for line in Lines::new(bytes) {
            if line.keyword == "newmtl" {
                self.close(open.take());
                open = Some(Definition {
                    material: Material {
                        name: line.rest().to_owned(),
                        ..Material::default()
                    },
                    picture: None,
                    has_alpha_picture: false,
                });
            } else if let Some(definition) = &mut open {
                // A broken value leaves the default: the shape matters more than its gloss.
                if let Err(e) = definition.set(&line) {
                    self.note(format!("material value left out: {e}"));
                }
            }
        }
        self.close(open);
    }

    fn close(&mut self, definition: Option<Definition>) {
        if let Some(definition) = definition {
            let name = definition.material.name.clone();
            self.definitions.insert(name, definition);
        }
    }

    /// Looks the used materials up and loads their pictures; returns what to tell the user.
    pub(super) fn resolve(&mut self) -> Vec<String> {
        if self.used.iter().all(Option::is_none) {
            return std::mem::take(&mut self.notes);
        }
        let mut pictures = HashMap::new();
        for name in std::mem::take(&mut self.used) {
            let definition = name.as_ref().and_then(|name| self.definitions.get(name));
            let Some(definition) = definition.cloned() else {
                if let Some(name) = &name {
                    self.note(format!(
                        "no library defines the material \"{}\"",
                        shorten(name)
                    ));
                }
                self.materials.push(Material {
                    name: name.unwrap_or_default(),
                    ..Material::default()
                });
                continue;
            };
            let mut material = definition.material;
            if let Some((picture, clamp)) = definition.picture {
                let key = (picture.clone(), clamp);
                let slot = match pictures.get(&key) {
                    Some(&slot) => slot,
                    None => {
                        let slot = self.picture(&picture, clamp);
                        pictures.insert(key, slot);
                        slot
                    }
                };
                material.base_colour_texture = slot;
                let has_alpha = slot.is_some_and(|i| self.textures[i].image.channels() == 4);
                if definition.has_alpha_picture && has_alpha {
                    material.alpha_mode = AlphaMode::Blend;
                }
            }
            self.materials.push(material);
        }
        std::mem::take(&mut self.notes)
    }

    fn picture(&mut self, name: &str, clamp: bool) -> Option<usize> {
        let held: usize = self.textures.iter().map(|t| t.image.data().len()).sum();
        let image = resolve_path(name, self.folder).and_then(|path| read_texture(&path));
        match image {
            Ok(image) if held.saturating_add(image.data().len()) <= MAX_PIXEL_BYTES => {
                let wrap = if clamp { Wrap::Clamp } else { Wrap::Repeat };
                self.textures.push(Texture {
                    image,
                    wrap_u: wrap,
                    wrap_v: wrap,
                });
                Some(self.textures.len() - 1)
            }
            Ok(_) => {
                self.note("textures above 1 GiB together are left out".to_owned());
                None
            }
            Err(e) => {
                self.note(format!("texture left out: {e}"));
                None
            }
        }
    }

    /// The materials and textures in the order of [`chosen`](Self::chosen)'s slots; empty when no
    /// face named a material.
    pub(super) fn finish(self) -> (Vec<Material>, Vec<Texture>) {
        (self.materials, self.textures)
    }
}

impl Definition {
    fn set(&mut self, line: &Line<'_>) -> Result<()> {
        let number = || -> Result<f32> {
            let mut value = [0.0];
            line.numbers(&mut value, 1)?;
            Ok(value[0])
        };
        match line.keyword.as_str() {
            // Linear, as Blender reads and writes it; the format itself does not say.
            "Kd" => {
                let mut rgb = [0.0; 3];
                // A single number stands for grey.
                if line.numbers(&mut rgb, 1)? < 3 {
                    rgb = [rgb[0]; 3];
                }
                self.material.base_colour[..3].copy_from_slice(&rgb.map(unit));
            }
            "d" => self.set_alpha(number()?),
            "Tr" => self.set_alpha(1.0 - number()?),
            // Blender's scale between the Phong exponent and roughness.
            "Ns" => self.material.roughness = 1.0 - (number()?.clamp(0.0, 1000.0) / 1000.0).sqrt(),
            "Pr" => self.material.roughness = unit(number()?),
            "Pm" => self.material.metallic = unit(number()?),
            "map_Kd" => self.picture = picture_name(line.rest()),
            "map_d" => self.has_alpha_picture = true,
            _ => {}
        }
        Ok(())
    }

    fn set_alpha(&mut self, alpha: f32) {
        let alpha = unit(alpha);
        self.material.base_colour[3] = alpha;
        if alpha < 1.0 {
            self.material.alpha_mode = AlphaMode::Blend;
        }
    }
}

fn unit(value: f32) -> f32 {
    if value.is_nan() {
        1.0
    } else {
        value.clamp(0.0, 1.0)
    }
}

/// The file name behind a map's options, and whether `-clamp on` is among them.
fn picture_name(text: &str) -> Option<(String, bool)> {
    let mut rest = text.trim();
    let mut clamp = false;
    while rest.starts_with('-') {
        let (option, behind) = split_word(rest);
        rest = behind;
        let most = match option {
            "-s" | "-o" | "-t" => 3,
            "-mm" => 2,
            _ => 1,
        };
        for i in 0..most {
            let (word, behind) = split_word(rest);
            // These options have one to three numbers; what is none begins the name.
            if most == 3 && i > 0 && word.parse::<f32>().is_err() {
                break;
            }
            clamp |= option == "-clamp" && word == "on";
            rest = behind;
        }
    }
    (!rest.is_empty()).then(|| (rest.to_owned(), clamp))
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text
        .split_once(|c: char| c.is_ascii_whitespace())
        .unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_before_the_name() {
        for (text, name, clamp) in [
            ("wood.png", "wood.png", false),
            ("my wood.png", "my wood.png", false),
            ("-s 2 2 -clamp on my wood.png", "my wood.png", true),
            ("-o 0.5 -mm 0 1 -bm 0.3 a.jpg", "a.jpg", false),
        ] {
            assert_eq!(picture_name(text), Some((name.to_owned(), clamp)), "{text}");
        }
        assert_eq!(picture_name("-s 1 1 1"), None);
        assert_eq!(picture_name("-"), None);
    }
}
