//! Captions that say what kind of thing is there and nothing about it.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::clean::for_each_clean_char;

/// Longer texts are never boilerplate. In characters after cleaning.
const LONGEST: usize = 80;

/// Words that say only "a picture", alone or with a number.
const GENERIC: &str = "
    image images img imgs photo photos photograph picture pictures pic pics logo icon icons banner thumbnail thumb
    thumbs avatar placeholder spacer untitled unnamed unknown default blank empty null none undefined nan
    graphic graphics illustration figure fig slide slideshow gallery cover header footer background bg
    screenshot screen shot scan scanned capture file download attachment artwork poster sprite pixel loader
    loading spinner arrow button btn close open menu search next previous prev back home play share
    image1 photo1 alt title caption description desc test dsc dscn dscf dcim pxl gopr mvi vid whatsapp snapchat
    bild bilder foto fotos grafik abbildung abb vorschaubild platzhalter titelbild symbolbild ohne titel unbenannt
    photographie illustration vignette icône icone bannière sans titre
    imagen imágenes imagenes foto fotografía fotografia ícono icono logotipo marcador miniatura sin título titulo
    imagem imagens sem título miniatura espaço reservado
    immagine immagini fotografia icona segnaposto senza titolo anteprima
    afbeelding afbeeldingen plaatje foto logo pictogram naamloos zonder titel
    obraz obrazek zdjęcie zdjęcia ikona miniatura bez tytułu nazwy
    bild bilden fotografi ikon utan titel billede billeder uden bilde bilder uten tittel kuva kuvat valokuva nimetön
    obrázek obrázok fotka náhled bez názvu kép képek fotó névtelen
    resim görsel fotoğraf simge logosu adsız başlıksız gambar foto ikon tanpa judul hình ảnh
    изображение картинка фото фотография логотип иконка значок без названия заставка зображення світлина малюнок
    εικόνα φωτογραφία λογότυπο εικονίδιο
    صورة صور شعار أيقونة تصویر عکس لوگو תמונה לוגו צילום
    图片 照片 图像 图标 标志 徽标 头像 缩略图 占位符 无标题 未命名 圖片 照片 圖像 圖標 標誌 無標題 未命名
    画像 写真 ロゴ アイコン イメージ サムネイル 無題 バナー 이미지 사진 로고 아이콘 그림 제목없음
    चित्र तस्वीर फोटो लोगो ภาพ รูปภาพ รูป โลโก้
";

/// Words that may stand beside generic ones without adding anything.
const FILLER: &str = "
    a an the of no not my this is here and for by in on to with your alt text available found coming soon
    von der die das kein keine nicht verfügbar de du des le la les un une pas disponible el los las del sin no
    o da do não disponível il lo di non van het een geen beschikbaar
    product main large small full size big original new copy page site web website company
    jpg jpeg png gif webp svg bmp tif tiff avif heic ico
";

/// Whole captions that templates leave behind.
const PHRASES: &str = "
    click to enlarge|click to zoom|click for larger image|click to view larger image|click here|read more
    enlarge image|view larger image|zoom in|view image|view full size|open image in new window|image may contain
    photo gallery image|featured image|post image|image loading|please wait|lorem ipsum
    coming soon|not available|broken image|missing image|product image|profile picture|profile photo|user avatar
    this image has an empty alt attribute|image could not be loaded|no alt text provided for this image
    no photo description available|no description available|image result for|embedded image permalink
    zum vergrößern klicken|bild vergrößern|mehr erfahren|weiterlesen|klicken zum vergrößern
    cliquez pour agrandir|cliquer pour agrandir|agrandir l'image|en savoir plus|lire la suite|image à la une
    haga clic para ampliar|clic para ampliar|ampliar imagen|leer más|imagen destacada
    clique para ampliar|clique na imagem para ampliar|ampliar imagem|leia mais|imagem em destaque
    clicca per ingrandire|ingrandisci|leggi tutto|immagine in evidenza|klik om te vergroten|lees meer
    kliknij aby powiększyć|powiększ|czytaj więcej|нажмите для увеличения|увеличить|подробнее|читать далее
    нажмите чтобы увеличить|点击放大|点击查看大图|查看更多|画像をクリックすると拡大します|続きを読む|자세히 보기
";

/// Endings that make a single token a file name.
const IMAGE_EXTENSIONS: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "gif", "webp", "svg", "bmp", "tif", "tiff", "avif", "heic", "heif", "ico", "psd", "raw", "cr2",
    "nef",
];

static GENERIC_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| GENERIC.split_whitespace().collect());
static FILLER_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| FILLER.split_whitespace().collect());
static PHRASE_SET: LazyLock<HashSet<&str>> =
    LazyLock::new(|| PHRASES.split(['|', '\n']).map(str::trim).filter(|p| !p.is_empty()).collect());

/// Whether `text` is filler rather than a caption.
///
/// True for: nothing but punctuation; generic words ("image", "Logo", "bild 3 von 10", "без названия"; some
/// twenty languages); what templates leave behind ("click to enlarge", "no image available"); file names
/// ("golden-retriever.jpg") and camera names ("IMG_1234", "DSC00012"); numbers, sizes ("300x200") and identifiers in
/// hex. Case, and punctuation at the ends, do not matter. Emoji alone, and texts over 80 characters, are captions.
pub fn is_boilerplate(text: &str) -> bool {
    let mut lower = String::with_capacity(text.len().min(4 * LONGEST));
    let mut count = 0usize;
    for_each_clean_char(text, |c| {
        count += 1;
        if count <= LONGEST {
            lower.extend(c.to_lowercase());
        }
    });
    if count > LONGEST {
        return false;
    }
    let bare = lower.trim_matches(|c: char| c.is_ascii_punctuation() || is_dash_or_quote(c) || c == ' ');
    bare.is_empty()
        || PHRASE_SET.contains(bare)
        || is_number_like(bare)
        || is_file_name(bare)
        || is_camera_name(bare)
        || is_identifier(bare)
        || is_generic(bare)
}

fn is_dash_or_quote(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2027}' | '«' | '»' | '·' | '、' | '。' | '【' | '】' | '「' | '」' | '！' | '：')
}

/// Digits, and what stands between the numbers of a date, a size, a count.
fn is_number_like(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || b" x*/.,:;-_()+#%".contains(&b) || b == b'|')
}

fn is_file_name(text: &str) -> bool {
    !text.contains(' ') && text.rsplit_once('.').is_some_and(|(stem, ext)| !stem.is_empty() && IMAGE_EXTENSIONS.contains(&ext))
}

/// Letters and numbers as cameras, phones and screenshot tools string them together.
fn is_camera_name(text: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "img",
        "dsc",
        "dscn",
        "dscf",
        "dcim",
        "pict",
        "pic",
        "p",
        "pxl",
        "gopr",
        "gx",
        "mvi",
        "vid",
        "cimg",
        "hpim",
        "imag",
        "sam",
        "sdc",
        "kodak",
        "dji",
        "fb_img",
        "screenshot",
        "screen",
        "wp",
        "picsart",
        "snapchat",
        "image",
        "photo",
        "foto",
        "bild",
        "scan",
        "cam",
        "capture",
        "unnamed",
        "untitled",
    ];
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters_end = text.bytes().position(|b| b.is_ascii_digit()).unwrap_or(text.len());
    let prefix = text[..letters_end].trim_end_matches(['_', '-', ' ']);
    let rest = &text[letters_end..];
    digits >= 1
        && PREFIXES.contains(&prefix)
        && (prefix.len() > 1 || digits >= 4)
        && rest.bytes().all(|b| b.is_ascii_digit() || b" _-.()x:at".contains(&b))
}

/// Hex of a hash or a UUID, or a token of mostly digits.
fn is_identifier(text: &str) -> bool {
    if text.len() < 8 || text.contains(' ') || !text.is_ascii() {
        return false;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let hex = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let token = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    (hex && digits >= 2) || (token && digits * 10 >= text.len() * 6)
}

/// Only generic words, numbers and filler, with one generic word at least.
fn is_generic(text: &str) -> bool {
    let mut generic = false;
    for word in text.split(|c: char| c == ' ' || (c.is_ascii_punctuation() && c != '\'') || is_dash_or_quote(c)) {
        let stem = word.trim_matches(|c: char| c.is_ascii_digit() || c == '\'');
        if stem.is_empty() {
            continue;
        }
        if GENERIC_WORDS.contains(stem) {
            generic = true;
        } else if !FILLER_WORDS.contains(stem) {
            return false;
        }
    }
    generic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filler_in_many_languages_is_boilerplate() {
        for text in [
            "",
            "  ",
            "...",
            "---",
            "«»",
            "image",
            "Image",
            "IMAGE 1",
            "Image #12",
            "logo",
            "Logo.",
            "photo (3)",
            "img_1234.jpg",
            "IMG_1234",
            "DSC00012.JPG",
            "dsc_0012",
            "P1010023",
            "untitled",
            "Untitled-1",
            "placeholder",
            "Screenshot 2020-01-02 at 10.20.30",
            "WhatsApp Image",
            "golden-retriever.jpg",
            "photo.PNG",
            "300x200",
            "1 / 10",
            "12345",
            "2019-08-12",
            "d41d8cd98f00b204e9800998ecf8427e",
            "550e8400-e29b-41d4-a716-446655440000",
            "click to enlarge",
            "Click to Enlarge!",
            "No image available",
            "image not found",
            "Bild 3 von 10",
            "kein Bild",
            "Platzhalter",
            "Foto 2",
            "sans titre",
            "image 2 de 5",
            "imagen sin título",
            "imagem 3",
            "immagine",
            "afbeelding 4",
            "zdjęcie",
            "без названия",
            "Фото 12",
            "εικόνα",
            "صورة",
            "תמונה",
            "图片",
            "图片1",
            "写真",
            "画像 3",
            "로고",
            "사진",
            "รูปภาพ",
            "company logo",
            "product image",
            "thumbnail_2",
            "avatar",
            "slide 4",
            "spacer.gif",
            "loading...",
            "image alt text",
            "null",
        ] {
            assert!(is_boilerplate(text), "{text:?}");
        }
    }

    #[test]
    fn captions_are_not_boilerplate() {
        for text in [
            "a dog",
            "Nike logo",
            "photo of a dog",
            "Image of the Eiffel Tower",
            "red house",
            "Berlin",
            "犬",
            "富士山の写真",
            "Bild von Anna",
            "iPhone 12",
            "BMW X5 2020",
            "Boeing 747",
            "Windows 95",
            "Apollo 11",
            "logo design for bakeries",
            "foto del gatto",
            "картинка с котом",
            "deadbeef",
            "facade",
            "😀",
            "T-shirt 100% cotton",
            "decade",
            "Room 101",
            "My dog.jpg",
            "1984 by George Orwell",
            "3D printer",
            "click to enlarge the map of Spain",
            "Mona Lisa",
        ] {
            assert!(!is_boilerplate(text), "{text:?}");
        }
    }

    #[test]
    fn long_texts_are_captions() {
        assert!(!is_boilerplate(&"image ".repeat(50)));
        assert!(!is_boilerplate(&"1".repeat(1_000_000)));
    }

    #[test]
    fn the_lists_are_in_lower_case() {
        for word in GENERIC_WORDS.iter().chain(FILLER_WORDS.iter()).chain(PHRASE_SET.iter()) {
            assert_eq!(word.to_lowercase(), *word);
        }
    }
}
