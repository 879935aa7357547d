//! Pixels into pictures.

use std::borrow::Cow;

use doom_game::ScreenFormat;

use super::{FrameEncoding, FramePlan};

/// Of JPEG; from 90 on colours keep their full resolution, which small screens need.
const QUALITY: u8 = 90;

/// Makes the pictures of one plan; its buffers are used again.
#[derive(Debug)]
pub(super) struct Painter {
    plan: FramePlan,
    rgb: Vec<u8>,
}

impl Painter {
    pub(super) fn new(plan: FramePlan) -> Self {
        Self { plan, rgb: Vec::new() }
    }

    /// `pixels` as the plan's encoding wants them.
    ///
    /// # Errors
    /// A text, where the encoder refuses (a side beyond JPEG's 65,535 pixels, for instance).
    pub(super) fn paint(&mut self, pixels: &[u8]) -> Result<Vec<u8>, String> {
        let FramePlan { encoding, width, height, .. } = self.plan;
        if matches!(encoding, FrameEncoding::Raw | FrameEncoding::Off) {
            return Ok(pixels.to_vec());
        }
        let gray = self.plan.format == ScreenFormat::Gray8;
        let pixels = self.colours(pixels)?;
        let mut picture = Vec::with_capacity(pixels.len() / 2);
        if encoding == FrameEncoding::Png {
            let mut encoder = png::Encoder::new(&mut picture, width, height);
            encoder.set_color(if gray { png::ColorType::Grayscale } else { png::ColorType::Rgb });
            encoder.set_compression(png::Compression::Fast);
            let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
            writer.write_image_data(&pixels).map_err(|e| e.to_string())?;
            writer.finish().map_err(|e| e.to_string())?;
        } else {
            let side = |n: u32| u16::try_from(n).map_err(|_| format!("{n} pixels are more than a JPEG can have"));
            let colours = if gray { jpeg_encoder::ColorType::Luma } else { jpeg_encoder::ColorType::Rgb };
            let encoder = jpeg_encoder::Encoder::new(&mut picture, QUALITY);
            encoder.encode(&pixels, side(width)?, side(height)?, colours).map_err(|e| e.to_string())?;
        }
        Ok(picture)
    }

    /// Interleaved red, green and blue; brightness alone stays as it is.
    fn colours<'a>(&'a mut self, pixels: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        let format = self.plan.format;
        match (format, format.rgb()) {
            (ScreenFormat::Gray8 | ScreenFormat::Rgb24, _) => return Ok(pixels.into()),
            (_, None) => return Err(format!("{} has no colours of its own", format.name())),
            (_, Some([r, g, b])) if format.is_planar() => {
                let plane = (pixels.len() / format.channels() as usize).max(1);
                let mut planes = pixels.chunks_exact(plane);
                let all = [planes.next(), planes.next(), planes.next()].map(Option::unwrap_or_default);
                self.rgb.clear();
                self.rgb.extend(all[r].iter().zip(all[g]).zip(all[b]).flat_map(|((r, g), b)| [*r, *g, *b]));
            }
            (_, Some([r, g, b])) => {
                self.rgb.clear();
                self.rgb.extend(pixels.chunks_exact(format.channels() as usize).flat_map(|p| [p[r], p[g], p[b]]));
            }
        }
        Ok(self.rgb.as_slice().into())
    }
}

#[cfg(test)]
mod tests {
    use zune_jpeg::zune_core::{colorspace::ColorSpace, options::DecoderOptions};

    use super::*;

    const WIDTH: u32 = 16;
    const HEIGHT: u32 = 8;

    fn plan(encoding: FrameEncoding, format: ScreenFormat) -> FramePlan {
        FramePlan { encoding, every: 1, format, width: WIDTH, height: HEIGHT }
    }

    /// Left half orange, right half teal; the lower half darker.
    fn colour(x: u32, y: u32) -> [u8; 3] {
        let [r, g, b] = if x < WIDTH / 2 { [240, 120, 20] } else { [10, 130, 160] };
        if y < HEIGHT / 2 { [r, g, b] } else { [r / 2, g / 2, b / 2] }
    }

    fn all() -> impl Iterator<Item = [u8; 3]> {
        (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| colour(x, y)))
    }

    /// As ViZDoom 1.3.2 lays them out, written down here once more by hand.
    fn pixels(format: ScreenFormat) -> Vec<u8> {
        let plane = |c: usize| all().map(move |p| p[c]);
        match format {
            ScreenFormat::Crcgcb => plane(0).chain(plane(1)).chain(plane(2)).collect(),
            ScreenFormat::Cbcgcr => plane(2).chain(plane(1)).chain(plane(0)).collect(),
            ScreenFormat::Rgb24 => all().flatten().collect(),
            ScreenFormat::Bgr24 => all().flat_map(|[r, g, b]| [b, g, r]).collect(),
            ScreenFormat::Rgba32 => all().flat_map(|[r, g, b]| [r, g, b, 255]).collect(),
            ScreenFormat::Argb32 => all().flat_map(|[r, g, b]| [255, r, g, b]).collect(),
            ScreenFormat::Bgra32 => all().flat_map(|[r, g, b]| [b, g, r, 255]).collect(),
            ScreenFormat::Abgr32 => all().flat_map(|[r, g, b]| [255, b, g, r]).collect(),
            ScreenFormat::Gray8 | ScreenFormat::Doom256Colors8 => plane(1).collect(),
        }
    }

    /// The colours that a picture of this format should show.
    fn expected(format: ScreenFormat) -> Vec<u8> {
        if format.channels() == 1 { pixels(format) } else { all().flatten().collect() }
    }

    fn with_colours() -> impl Iterator<Item = ScreenFormat> {
        ScreenFormat::ALL.iter().copied().filter(|f| *f != ScreenFormat::Doom256Colors8)
    }

    #[test]
    fn every_format_keeps_its_colours_in_a_png() {
        for format in with_colours() {
            let picture = Painter::new(plan(FrameEncoding::Png, format)).paint(&pixels(format)).unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().unwrap();
            let mut decoded = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut decoded).unwrap();
            assert_eq!((info.width, info.height), (WIDTH, HEIGHT));
            let gray = format == ScreenFormat::Gray8;
            assert_eq!(info.color_type, if gray { png::ColorType::Grayscale } else { png::ColorType::Rgb }, "{}", format.name());
            assert_eq!(decoded, expected(format), "{}", format.name());
        }
    }

    #[test]
    fn every_format_nearly_keeps_its_colours_in_a_jpeg() {
        for format in with_colours() {
            let picture = Painter::new(plan(FrameEncoding::Jpeg, format)).paint(&pixels(format)).unwrap();
            let colours = if format == ScreenFormat::Gray8 { ColorSpace::Luma } else { ColorSpace::RGB };
            let options = DecoderOptions::default().jpeg_set_out_colorspace(colours);
            let mut decoder = zune_jpeg::JpegDecoder::new_with_options(std::io::Cursor::new(picture), options);
            let decoded = decoder.decode().unwrap();
            assert_eq!(decoder.dimensions(), Some((WIDTH as usize, HEIGHT as usize)));
            let expected = expected(format);
            assert_eq!(decoded.len(), expected.len(), "{}", format.name());
            let worst = decoded.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(worst <= 12, "{} is off by {worst}", format.name());
        }
    }

    #[test]
    fn raw_is_the_games_own_bytes() {
        for format in ScreenFormat::ALL {
            let pixels = pixels(*format);
            assert_eq!(Painter::new(plan(FrameEncoding::Raw, *format)).paint(&pixels).unwrap(), pixels);
        }
    }

    #[test]
    fn indices_into_a_palette_are_no_picture() {
        let format = ScreenFormat::Doom256Colors8;
        let refused = Painter::new(plan(FrameEncoding::Png, format)).paint(&pixels(format)).unwrap_err();
        assert!(refused.contains("DOOM_256_COLORS8"), "{refused}");
    }
}
