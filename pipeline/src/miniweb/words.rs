//! The words for the world in ten languages.
//!
//! The phrases are built so that nothing has to agree across a placeholder: a count and its noun are one phrase, a colour
//! stands after "of the colour", and so on. That keeps every caption in correct language with a plain table.

use super::world::{Colour, Shape};

/// A language in which pages and captions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are their own description")]
pub enum Lang {
    En,
    De,
    Fr,
    Es,
    It,
    Pt,
    Ru,
    Ja,
    Zh,
    Ar,
}

impl Lang {
    /// All languages, each with its share of the pages; the shares sum to 1.
    pub const SHARES: [(Self, f64); 10] = [
        (Self::En, 0.46),
        (Self::De, 0.10),
        (Self::Fr, 0.08),
        (Self::Es, 0.08),
        (Self::Ru, 0.07),
        (Self::Ja, 0.05),
        (Self::Zh, 0.05),
        (Self::It, 0.04),
        (Self::Pt, 0.04),
        (Self::Ar, 0.03),
    ];

    /// The ISO 639-1 code.
    pub fn code(self) -> &'static str {
        self.words().code
    }

    /// Words by language for what this web associates: `red`, and `heart` in its numbers. TOML, as `balance` reads lexicons.
    pub fn lexicon() -> String {
        let heart = Shape::ALL.iter().position(|shape| *shape == Shape::Heart).unwrap_or(0);
        let red = Colour::ALL.iter().position(|colour| *colour == Colour::Red).unwrap_or(0);
        let of = |(lang, _): &(Self, f64)| {
            let words = lang.words();
            format!("[{}]\nred   = [{:?}]\nheart = {:?}\n", words.code, words.colours[red], words.shapes[heart])
        };
        let mut texts: Vec<String> = Self::SHARES.iter().map(of).collect();
        texts.sort();
        texts.join("\n")
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::En => &EN,
            Self::De => &DE,
            Self::Fr => &FR,
            Self::Es => &ES,
            Self::It => &IT,
            Self::Pt => &PT,
            Self::Ru => &RU,
            Self::Ja => &JA,
            Self::Zh => &ZH,
            Self::Ar => &AR,
        }
    }
}

/// One language. In the templates `{w}` is the count with its noun, `{c}` the colour, `{b}` the background's colour, `{s}` the
/// size, `{p}` the position, `{t}` the texture (with its own space in front where the language has spaces).
pub(crate) struct Words {
    pub(crate) code: &'static str,
    /// One, two and three of each shape, in the order of `Shape::ALL`. English keeps the count apart, see `counts`.
    pub(crate) shapes: [[&'static str; 3]; 8],
    /// `{n}`: only English needs it, because its adjectives stand between the count and the noun.
    pub(crate) counts: [&'static str; 3],
    pub(crate) colours: [&'static str; 8],
    pub(crate) sizes: [&'static str; 2],
    pub(crate) positions: [&'static str; 5],
    pub(crate) textures: [&'static str; 3],
    pub(crate) long: [&'static str; 4],
    pub(crate) short: &'static str,
    /// Captions that shops paste under every picture.
    pub(crate) repeated: [&'static str; 3],
    /// How a caption asks to get in touch; `{e}` is an address and `{f}` a phone number.
    pub(crate) contact: &'static str,
    /// What pages say around the pictures.
    pub(crate) prose: [&'static str; 3],
}

const NO_COUNTS: [&str; 3] = ["", "", ""];

static EN: Words = Words {
    code: "en",
    shapes: [
        ["circle", "circles", "circles"],
        ["square", "squares", "squares"],
        ["triangle", "triangles", "triangles"],
        ["star", "stars", "stars"],
        ["ring", "rings", "rings"],
        ["cross", "crosses", "crosses"],
        ["heart", "hearts", "hearts"],
        ["diamond", "diamonds", "diamonds"],
    ],
    counts: ["a", "two", "three"],
    colours: ["red", "green", "blue", "yellow", "orange", "purple", "black", "white"],
    sizes: ["small", "large"],
    positions: ["on the left", "on the right", "at the top", "at the bottom", "in the centre"],
    textures: ["", " with stripes", " with dots"],
    long: [
        "{n} {s} {c} {w}{t} on a {b} background, {p} of the picture",
        "Photograph of {n} {s} {c} {w}{t} {p}, taken against a {b} background",
        "This picture shows {n} {c} {w}{t} {p}; the background is {b} and the size is {s}",
        "{n} {c} {w}{t} standing {p} in front of a {b} wall, {s} in the frame",
    ],
    short: "{c} {w} on {b}",
    repeated: [
        "Buy now in our online shop with free shipping",
        "Click on the picture to see a larger version",
        "All rights reserved, please do not copy this photo",
    ],
    contact: "write to {e} or call {f}",
    prose: [
        "Welcome to our collection. We have been looking at simple things for many years and we put what we find on this page.",
        "Every picture was made by hand in our workshop, and you can look at all of them here without paying anything.",
        "If you like what you see, tell your friends about it and come back next week, when there will be more.",
    ],
};

static DE: Words = Words {
    code: "de",
    shapes: [
        ["ein Kreis", "zwei Kreise", "drei Kreise"],
        ["ein Quadrat", "zwei Quadrate", "drei Quadrate"],
        ["ein Dreieck", "zwei Dreiecke", "drei Dreiecke"],
        ["ein Stern", "zwei Sterne", "drei Sterne"],
        ["ein Ring", "zwei Ringe", "drei Ringe"],
        ["ein Kreuz", "zwei Kreuze", "drei Kreuze"],
        ["ein Herz", "zwei Herzen", "drei Herzen"],
        ["eine Raute", "zwei Rauten", "drei Rauten"],
    ],
    counts: NO_COUNTS,
    colours: ["Rot", "Grün", "Blau", "Gelb", "Orange", "Lila", "Schwarz", "Weiß"],
    sizes: ["klein dargestellt", "groß dargestellt"],
    positions: ["links im Bild", "rechts im Bild", "oben im Bild", "unten im Bild", "in der Mitte des Bildes"],
    textures: ["", " mit Streifen", " mit Punkten"],
    long: [
        "{w}{t} in der Farbe {c}, {s} und {p}, vor einem Hintergrund in {b}",
        "Zu sehen ist hier: {w}{t} in {c} {p}, {s}, dahinter eine Wand in der Farbe {b}",
        "Unser Foto der Woche: {w}{t} in {c}, {p} und {s}, der Hintergrund ist in {b} gehalten",
        "Gemalt wurde das in der Farbe {c}: {w}{t}, {s}, {p} und mit einem Hintergrund in {b}",
    ],
    short: "{w} in {c}",
    repeated: [
        "Jetzt in unserem Laden kaufen, der Versand ist kostenlos",
        "Klicken Sie auf das Bild, um es größer zu sehen",
        "Alle Rechte vorbehalten, bitte dieses Foto nicht kopieren",
    ],
    contact: "schreiben Sie an {e} oder rufen Sie an unter {f}",
    prose: [
        "Willkommen in unserer Sammlung. Seit vielen Jahren schauen wir uns einfache Dinge an und zeigen sie auf dieser Seite.",
        "Jedes Bild wurde von Hand in unserer Werkstatt gemacht, und Sie können sich hier alle ohne Kosten ansehen.",
        "Wenn es Ihnen gefällt, erzählen Sie es weiter und kommen Sie nächste Woche wieder, dann gibt es mehr davon.",
    ],
};

static FR: Words = Words {
    code: "fr",
    shapes: [
        ["un cercle", "deux cercles", "trois cercles"],
        ["un carré", "deux carrés", "trois carrés"],
        ["un triangle", "deux triangles", "trois triangles"],
        ["une étoile", "deux étoiles", "trois étoiles"],
        ["un anneau", "deux anneaux", "trois anneaux"],
        ["une croix", "deux croix", "trois croix"],
        ["un coeur", "deux coeurs", "trois coeurs"],
        ["un losange", "deux losanges", "trois losanges"],
    ],
    counts: NO_COUNTS,
    colours: ["rouge", "verte", "bleue", "jaune", "orange", "violette", "noire", "blanche"],
    sizes: ["en petit", "en grand"],
    positions: ["à gauche", "à droite", "en haut", "en bas", "au centre"],
    textures: ["", " à rayures", " à pois"],
    long: [
        "{w}{t} de couleur {c}, {s} et {p}, sur un fond de couleur {b}",
        "Cette photo montre {w}{t} de couleur {c} {p} de l'image, {s}, devant un mur de couleur {b}",
        "Dans notre galerie : {w}{t} de couleur {c}, {s}, {p}, avec un fond de couleur {b}",
        "Voici {w}{t} de couleur {c} que nous avons dessinés {s} et {p} sur une surface de couleur {b}",
    ],
    short: "{w} de couleur {c}",
    repeated: [
        "Achetez maintenant dans notre boutique, la livraison est gratuite",
        "Cliquez sur l'image pour la voir en plus grand",
        "Tous droits réservés, merci de ne pas copier cette photo",
    ],
    contact: "écrivez à {e} ou appelez le {f}",
    prose: [
        "Bienvenue dans notre collection. Depuis des années nous regardons des choses simples et nous les montrons sur cette page.",
        "Chaque image a été faite à la main dans notre atelier, et vous pouvez toutes les regarder ici sans rien payer.",
        "Si cela vous plaît, parlez-en à vos amis et revenez la semaine prochaine, il y en aura d'autres.",
    ],
};

static ES: Words = Words {
    code: "es",
    shapes: [
        ["un círculo", "dos círculos", "tres círculos"],
        ["un cuadrado", "dos cuadrados", "tres cuadrados"],
        ["un triángulo", "dos triángulos", "tres triángulos"],
        ["una estrella", "dos estrellas", "tres estrellas"],
        ["un anillo", "dos anillos", "tres anillos"],
        ["una cruz", "dos cruces", "tres cruces"],
        ["un corazón", "dos corazones", "tres corazones"],
        ["un rombo", "dos rombos", "tres rombos"],
    ],
    counts: NO_COUNTS,
    colours: ["rojo", "verde", "azul", "amarillo", "naranja", "morado", "negro", "blanco"],
    sizes: ["en pequeño", "en grande"],
    positions: ["a la izquierda", "a la derecha", "en la parte de arriba", "en la parte de abajo", "en el centro"],
    textures: ["", " con rayas", " con lunares"],
    long: [
        "{w}{t} de color {c}, {s} y {p}, sobre un fondo de color {b}",
        "Esta fotografía muestra {w}{t} de color {c} {p} de la imagen, {s}, delante de una pared de color {b}",
        "De nuestra galería: {w}{t} de color {c}, {s}, {p}, con un fondo de color {b}",
        "Aquí se puede ver {w}{t} de color {c} que hemos dibujado {s} y {p} sobre una superficie de color {b}",
    ],
    short: "{w} de color {c}",
    repeated: [
        "Compre ahora en nuestra tienda, el envío es gratis",
        "Haga clic en la imagen para verla más grande",
        "Todos los derechos reservados, no copie esta foto por favor",
    ],
    contact: "escriba a {e} o llame al {f}",
    prose: [
        "Bienvenidos a nuestra colección. Desde hace muchos años miramos cosas sencillas y las mostramos en esta página.",
        "Cada imagen se hizo a mano en nuestro taller, y usted puede verlas todas aquí sin pagar nada.",
        "Si le gusta lo que ve, cuénteselo a sus amigos y vuelva la próxima semana, porque habrá más.",
    ],
};

static IT: Words = Words {
    code: "it",
    shapes: [
        ["un cerchio", "due cerchi", "tre cerchi"],
        ["un quadrato", "due quadrati", "tre quadrati"],
        ["un triangolo", "due triangoli", "tre triangoli"],
        ["una stella", "due stelle", "tre stelle"],
        ["un anello", "due anelli", "tre anelli"],
        ["una croce", "due croci", "tre croci"],
        ["un cuore", "due cuori", "tre cuori"],
        ["un rombo", "due rombi", "tre rombi"],
    ],
    counts: NO_COUNTS,
    colours: ["rosso", "verde", "blu", "giallo", "arancione", "viola", "nero", "bianco"],
    sizes: ["in piccolo", "in grande"],
    positions: ["a sinistra", "a destra", "in alto", "in basso", "al centro"],
    textures: ["", " a righe", " a pois"],
    long: [
        "{w}{t} di colore {c}, {s} e {p}, su uno sfondo di colore {b}",
        "Questa fotografia mostra {w}{t} di colore {c} {p} nell'immagine, {s}, davanti a una parete di colore {b}",
        "Dalla nostra galleria: {w}{t} di colore {c}, {s}, {p}, con uno sfondo di colore {b}",
        "Qui si può vedere {w}{t} di colore {c} che abbiamo disegnato {s} e {p} sopra una superficie di colore {b}",
    ],
    short: "{w} di colore {c}",
    repeated: [
        "Acquista ora nel nostro negozio, la spedizione è gratuita",
        "Fai clic sull'immagine per vederla più grande",
        "Tutti i diritti riservati, si prega di non copiare questa foto",
    ],
    contact: "scrivi a {e} oppure chiama il {f}",
    prose: [
        "Benvenuti nella nostra collezione. Da molti anni guardiamo le cose semplici e le mostriamo in questa pagina.",
        "Ogni immagine è stata fatta a mano nel nostro laboratorio, e qui potete guardarle tutte senza pagare niente.",
        "Se vi piace quello che vedete, ditelo ai vostri amici e tornate la prossima settimana, perché ce ne saranno altre.",
    ],
};

static PT: Words = Words {
    code: "pt",
    shapes: [
        ["um círculo", "dois círculos", "três círculos"],
        ["um quadrado", "dois quadrados", "três quadrados"],
        ["um triângulo", "dois triângulos", "três triângulos"],
        ["uma estrela", "duas estrelas", "três estrelas"],
        ["um anel", "dois anéis", "três anéis"],
        ["uma cruz", "duas cruzes", "três cruzes"],
        ["um coração", "dois corações", "três corações"],
        ["um losango", "dois losangos", "três losangos"],
    ],
    counts: NO_COUNTS,
    colours: ["vermelha", "verde", "azul", "amarela", "laranja", "roxa", "preta", "branca"],
    sizes: ["em tamanho pequeno", "em tamanho grande"],
    positions: ["à esquerda", "à direita", "na parte de cima", "na parte de baixo", "no centro"],
    textures: ["", " com listras", " com bolinhas"],
    long: [
        "{w}{t} de cor {c}, {s} e {p}, sobre um fundo de cor {b}",
        "Esta fotografia mostra {w}{t} de cor {c} {p} da imagem, {s}, na frente de uma parede de cor {b}",
        "Da nossa galeria: {w}{t} de cor {c}, {s}, {p}, com um fundo de cor {b}",
        "Aqui você pode ver {w}{t} de cor {c} que nós desenhamos {s} e {p} em uma superfície de cor {b}",
    ],
    short: "{w} de cor {c}",
    repeated: [
        "Compre agora em nossa loja, não cobramos pelo envio",
        "Clique na imagem para ver uma versão maior",
        "Todos os direitos reservados, por favor não copie esta foto",
    ],
    contact: "escreva para {e} ou ligue para {f}",
    prose: [
        "Bem-vindo à nossa coleção. Há muitos anos olhamos para coisas simples e mostramos o que encontramos nesta página.",
        "Cada imagem foi feita à mão na nossa oficina, e você pode ver todas elas aqui sem pagar nada.",
        "Se você gosta do que vê, conte para os seus amigos e volte na próxima semana, quando haverá mais.",
    ],
};

static RU: Words = Words {
    code: "ru",
    shapes: [
        ["один круг", "два круга", "три круга"],
        ["один квадрат", "два квадрата", "три квадрата"],
        ["один треугольник", "два треугольника", "три треугольника"],
        ["одна звезда", "две звезды", "три звезды"],
        ["одно кольцо", "два кольца", "три кольца"],
        ["один крест", "два креста", "три креста"],
        ["одно сердце", "два сердца", "три сердца"],
        ["один ромб", "два ромба", "три ромба"],
    ],
    counts: NO_COUNTS,
    colours: ["красного", "зелёного", "синего", "жёлтого", "оранжевого", "фиолетового", "чёрного", "белого"],
    sizes: ["мелким планом", "крупным планом"],
    positions: ["слева", "справа", "сверху", "снизу", "в центре"],
    textures: ["", " в полоску", " в горошек"],
    long: [
        "{w}{t} {c} цвета {p}, {s}, на фоне {b} цвета",
        "На этой фотографии {w}{t} {c} цвета {p}, {s}, перед стеной {b} цвета",
        "Из нашей коллекции: {w}{t} {c} цвета, {s}, {p}, фон {b} цвета",
        "Здесь можно увидеть: {w}{t} {c} цвета, мы нарисовали это {s} и {p} на поверхности {b} цвета",
    ],
    short: "{w} {c} цвета",
    repeated: [
        "Купите сейчас в нашем магазине с бесплатной доставкой",
        "Нажмите на картинку, чтобы увидеть её больше",
        "Все права защищены, пожалуйста, не копируйте эту фотографию",
    ],
    contact: "пишите на {e} или звоните {f}",
    prose: [
        "Добро пожаловать в нашу коллекцию. Много лет мы смотрим на простые вещи и показываем их на этой странице.",
        "Каждая картинка сделана вручную в нашей мастерской, и вы можете посмотреть их все здесь бесплатно.",
        "Если вам понравилось, расскажите друзьям и возвращайтесь на следующей неделе, будет ещё больше.",
    ],
};

static JA: Words = Words {
    code: "ja",
    shapes: [
        ["丸が一つ", "丸が二つ", "丸が三つ"],
        ["四角形が一つ", "四角形が二つ", "四角形が三つ"],
        ["三角形が一つ", "三角形が二つ", "三角形が三つ"],
        ["星が一つ", "星が二つ", "星が三つ"],
        ["輪が一つ", "輪が二つ", "輪が三つ"],
        ["十字が一つ", "十字が二つ", "十字が三つ"],
        ["ハートが一つ", "ハートが二つ", "ハートが三つ"],
        ["ひし形が一つ", "ひし形が二つ", "ひし形が三つ"],
    ],
    counts: NO_COUNTS,
    colours: ["赤色", "緑色", "青色", "黄色", "オレンジ色", "紫色", "黒色", "白色"],
    sizes: ["小さな", "大きな"],
    positions: ["左側", "右側", "上の方", "下の方", "真ん中"],
    textures: ["", "縞模様の", "水玉模様の"],
    long: [
        "{b}の背景の{p}に{s}{c}の{t}{w}あります",
        "この写真には{p}に{c}の{s}{t}{w}写っていて、背景は{b}です",
        "{b}の壁の前に{c}で{s}{t}{w}、画面の{p}に並んでいます",
        "私たちのギャラリーから：{p}に{s}{t}{w}見えます。色は{c}、背景は{b}です",
    ],
    short: "{c}の{w}",
    repeated: [
        "送料無料のオンラインショップで今すぐお買い求めください",
        "画像をクリックすると大きく表示されます",
        "無断転載を禁じます。この写真をコピーしないでください",
    ],
    contact: "お問い合わせは{e}または電話{f}まで",
    prose: [
        "私たちのコレクションへようこそ。長い間、簡単なものを見つめ続け、見つけたものをこのページに載せています。",
        "どの絵も私たちの工房で手作りされたもので、ここではすべて無料で見ることができます。",
        "気に入っていただけたら、お友達にも教えて、来週またお越しください。もっとたくさんあります。",
    ],
};

static ZH: Words = Words {
    code: "zh",
    shapes: [
        ["一个圆形", "两个圆形", "三个圆形"],
        ["一个正方形", "两个正方形", "三个正方形"],
        ["一个三角形", "两个三角形", "三个三角形"],
        ["一颗星星", "两颗星星", "三颗星星"],
        ["一个圆环", "两个圆环", "三个圆环"],
        ["一个十字", "两个十字", "三个十字"],
        ["一颗爱心", "两颗爱心", "三颗爱心"],
        ["一个菱形", "两个菱形", "三个菱形"],
    ],
    counts: NO_COUNTS,
    colours: ["红色", "绿色", "蓝色", "黄色", "橙色", "紫色", "黑色", "白色"],
    sizes: ["比较小", "比较大"],
    positions: ["左边", "右边", "上面", "下面", "中间"],
    textures: ["", "带条纹的", "带圆点的"],
    long: [
        "在{b}背景的{p}有{t}{w}，颜色是{c}，看起来{s}",
        "这张照片的{p}可以看到{t}{w}，它们是{c}的，{s}，后面的墙是{b}的",
        "我们的收藏：画面{p}的{t}{w}，用{c}画成，{s}，背景是{b}",
        "这里展示的是{c}的{t}{w}，位置在{p}，尺寸{s}，背景为{b}",
    ],
    short: "{c}的{w}",
    repeated: ["现在就在我们的网上商店购买，全部免费送货", "点击图片可以查看更大的版本", "版权所有，请不要复制这张照片"],
    contact: "请写信到{e}或者打电话{f}",
    prose: [
        "欢迎来到我们的收藏。多年来我们一直在观察简单的东西，并把找到的都放在这个网页上。",
        "每一张图片都是在我们的工作室里手工制作的，您可以在这里免费观看所有的作品。",
        "如果您喜欢这些图片，请告诉您的朋友，下个星期再来看看，到时候会有更多的内容。",
    ],
};

static AR: Words = Words {
    code: "ar",
    shapes: [
        ["دائرة واحدة", "دائرتان", "ثلاث دوائر"],
        ["مربع واحد", "مربعان", "ثلاثة مربعات"],
        ["مثلث واحد", "مثلثان", "ثلاثة مثلثات"],
        ["نجمة واحدة", "نجمتان", "ثلاث نجوم"],
        ["حلقة واحدة", "حلقتان", "ثلاث حلقات"],
        ["صليب واحد", "صليبان", "ثلاثة صلبان"],
        ["قلب واحد", "قلبان", "ثلاثة قلوب"],
        ["معين واحد", "معينان", "ثلاثة معينات"],
    ],
    counts: NO_COUNTS,
    colours: ["الأحمر", "الأخضر", "الأزرق", "الأصفر", "البرتقالي", "البنفسجي", "الأسود", "الأبيض"],
    sizes: ["بحجم صغير", "بحجم كبير"],
    positions: ["على اليسار", "على اليمين", "في الأعلى", "في الأسفل", "في الوسط"],
    textures: ["", " مع خطوط", " مع نقاط"],
    long: [
        "{w}{t} باللون {c} {p} {s} على خلفية باللون {b}",
        "تظهر في هذه الصورة {w}{t} باللون {c} {p} {s} أمام جدار باللون {b}",
        "من مجموعتنا: {w}{t} باللون {c}، {s}، {p}، مع خلفية باللون {b}",
        "يمكنكم أن تروا هنا {w}{t} باللون {c} وقد رسمناها {s} {p} على سطح باللون {b}",
    ],
    short: "{w} باللون {c}",
    repeated: [
        "اشتر الآن من متجرنا مع شحن مجاني إلى كل مكان",
        "انقر على الصورة لمشاهدتها بحجم أكبر",
        "جميع الحقوق محفوظة، يرجى عدم نسخ هذه الصورة",
    ],
    contact: "اكتبوا إلى {e} أو اتصلوا على {f}",
    prose: [
        "مرحبا بكم في مجموعتنا. منذ سنوات طويلة ننظر إلى الأشياء البسيطة ونعرض ما نجده في هذه الصفحة.",
        "كل صورة صنعت باليد في ورشتنا، ويمكنكم مشاهدة جميع الصور هنا دون أن تدفعوا شيئا.",
        "إذا أعجبكم ما ترونه فأخبروا أصدقاءكم وعودوا في الأسبوع القادم لمشاهدة المزيد.",
    ],
};
