//! The `@context`, term for term as the `mlcroissant` writer emits it, and `prov` for provenance.

use serde_json::{Map, Value, json};

use super::CroissantVersion;

/// What a term stands for.
enum Term {
    Iri(&'static str),
    /// An IRI, and the type of the term's values.
    Typed(&'static str, &'static str),
    /// A text, or texts by language.
    ByLanguage,
}

/// Terms that 1.0 does not have, or has without a language container.
const ONLY_1_1: [&str; 5] = ["arrayShape", "containedIn", "description", "isArray", "name"];

const TERMS: [(&str, Term); 42] = [
    ("@language", Term::Iri("en")),
    ("@vocab", Term::Iri("https://schema.org/")),
    ("arrayShape", Term::Iri("cr:arrayShape")),
    ("citeAs", Term::Iri("cr:citeAs")),
    ("column", Term::Iri("cr:column")),
    ("conformsTo", Term::Iri("dct:conformsTo")),
    ("containedIn", Term::Iri("cr:containedIn")),
    ("cr", Term::Iri("http://mlcommons.org/croissant/")),
    ("rai", Term::Iri("http://mlcommons.org/croissant/RAI/")),
    ("data", Term::Typed("cr:data", "@json")),
    ("dataType", Term::Typed("cr:dataType", "@vocab")),
    ("dct", Term::Iri("http://purl.org/dc/terms/")),
    ("description", Term::ByLanguage),
    ("equivalentProperty", Term::Iri("cr:equivalentProperty")),
    ("examples", Term::Typed("cr:examples", "@json")),
    ("extract", Term::Iri("cr:extract")),
    ("field", Term::Iri("cr:field")),
    ("fileProperty", Term::Iri("cr:fileProperty")),
    ("fileObject", Term::Iri("cr:fileObject")),
    ("fileSet", Term::Iri("cr:fileSet")),
    ("format", Term::Iri("cr:format")),
    ("includes", Term::Iri("cr:includes")),
    ("isArray", Term::Iri("cr:isArray")),
    ("isLiveDataset", Term::Iri("cr:isLiveDataset")),
    ("jsonPath", Term::Iri("cr:jsonPath")),
    ("key", Term::Iri("cr:key")),
    ("md5", Term::Iri("cr:md5")),
    ("name", Term::ByLanguage),
    ("parentField", Term::Iri("cr:parentField")),
    ("path", Term::Iri("cr:path")),
    ("recordSet", Term::Iri("cr:recordSet")),
    ("references", Term::Iri("cr:references")),
    ("regex", Term::Iri("cr:regex")),
    ("repeated", Term::Iri("cr:repeated")),
    ("replace", Term::Iri("cr:replace")),
    ("samplingRate", Term::Iri("cr:samplingRate")),
    ("sc", Term::Iri("https://schema.org/")),
    ("separator", Term::Iri("cr:separator")),
    ("source", Term::Iri("cr:source")),
    ("subField", Term::Iri("cr:subField")),
    ("transform", Term::Iri("cr:transform")),
    ("prov", Term::Iri("http://www.w3.org/ns/prov#")),
];

pub(super) fn context(version: CroissantVersion) -> Value {
    let used = TERMS.iter().filter(|(term, _)| version == CroissantVersion::V1_1 || !ONLY_1_1.contains(term));
    let value = |term: &Term| match term {
        Term::Iri(iri) => json!(iri),
        Term::Typed(iri, kind) => json!({ "@id": iri, "@type": kind }),
        Term::ByLanguage => json!({ "@container": "@language" }),
    };
    Value::Object(used.map(|(term, meaning)| ((*term).to_owned(), value(meaning))).collect::<Map<_, _>>())
}
