//! An authority and the certificates of a cluster's processes.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Makes an authority and one certificate for loopback in `folder`; gives the flags that name them.
pub fn certificates(folder: &Path) -> Vec<String> {
    std::fs::create_dir_all(folder).expect("a folder in a temporary folder can be made");
    let key = || KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority signs itself");
    let own = key();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate =
        CertificateParams::new(names).and_then(|params| params.signed_by(&own, &authority)).expect("the authority signs for loopback");
    let files = [
        ("--tls-ca", "ca.pem", authority.pem()),
        ("--tls-cert", "cert.pem", certificate.pem()),
        ("--tls-key", "key.pem", own.serialize_pem()),
    ];
    let flags = files.map(|(flag, name, pem)| {
        let path = folder.join(name);
        std::fs::write(&path, pem).expect("a temporary folder can be written to");
        [flag.to_owned(), path.display().to_string()]
    });
    flags.concat()
}
