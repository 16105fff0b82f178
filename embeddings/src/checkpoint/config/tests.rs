use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<ModelConfig, ModelError> {
    ModelConfig::parse(Path::new("config.json"), text.as_bytes())
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

const OPEN_CLIP: &str = r#"{"model_cfg": {"embed_dim": 512, "quick_gelu": true,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}}}"#;

const TIMM: &str = r#"{"model_cfg": {"embed_dim": 1152, "init_logit_bias": -10, "custom_text": true,
    "vision_cfg": {"image_size": 384, "timm_model_name": "vit_so400m_patch14_siglip_384",
        "timm_model_pretrained": false, "timm_pool": "map", "timm_proj": "none"},
    "text_cfg": {"context_length": 64, "vocab_size": 32000, "width": 1152, "heads": 16, "layers": 27,
        "mlp_ratio": 3.7362, "no_causal_mask": true, "proj_bias": true, "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}}}}"#;

#[test]
fn a_config_that_says_only_its_type_has_the_defaults_of_its_class() {
    let clip = parse(r#"{"model_type": "clip"}"#).unwrap();
    assert_eq!((clip.dim, clip.image.transformer.width, clip.text.transformer.width), (512, 768, 512));
    assert_eq!(clip.image.transformer.activation, Activation::QuickGelu);
    assert_eq!(clip.text.pooling, TextPooling::FirstOf(49407));
    let siglip = parse(r#"{"model_type": "siglip"}"#).unwrap();
    assert_eq!((siglip.dim, siglip.image.patch, siglip.text.context), (768, 16, 64));
    assert_eq!((siglip.text.causal, siglip.text.pooling), (false, TextPooling::Last));
    let naflex = parse(r#"{"model_type": "siglip2", "vision_config": {"num_patches": 64}}"#).unwrap();
    assert_eq!(naflex.image.grid, Grid::Naflex { positions: 8 });
}

#[test]
fn the_wrong_end_of_old_clip_configs_means_the_largest_id() {
    let config = parse(r#"{"model_type": "clip", "text_config": {"eos_token_id": 2}}"#).unwrap();
    assert_eq!(config.text.pooling, TextPooling::LargestId);
}

#[test]
fn the_old_sections_win_over_the_new_ones() {
    let config = parse(
        r#"{"model_type": "clip", "text_config": {"num_hidden_layers": 3},
            "text_config_dict": {"num_hidden_layers": 4}, "vision_config_dict": null}"#,
    );
    assert_eq!(config.unwrap().text.transformer.layers, 4);
}

#[test]
fn open_clip_takes_heads_from_their_width_and_the_activation_from_a_flag() {
    let config = parse(OPEN_CLIP).unwrap();
    assert_eq!((config.image.transformer.heads, config.layout), (12, TensorNames::OpenClip));
    assert_eq!(config.text.transformer.activation, Activation::QuickGelu);
    assert_eq!(parse(&OPEN_CLIP.replace("true", "false")).unwrap().image.transformer.activation, Activation::Gelu);
}

#[test]
fn timm_towers_are_known_by_name() {
    let config = parse(TIMM).unwrap();
    let image = config.image.transformer;
    assert_eq!((image.width, image.layers, image.heads, image.mlp), (1152, 27, 16, 4304));
    assert_eq!((image.activation, config.text.transformer.activation), (Activation::Gelu, Activation::GeluTanh));
    assert_eq!((config.text.transformer.mlp, config.text.projection), (4304, Projection::Linear));
    assert_eq!((config.layout, config.logit_bias), (TensorNames::OpenClipTimm, true));
}

#[test]
fn what_is_not_understood_is_named() {
    let unknown = message(r#"{"model_type": "blip"}"#);
    assert!(unknown.contains("`config.json`: unknown architecture `blip`; known are clip"), "{unknown}");
    let activation = message(r#"{"model_type": "siglip", "text_config": {"hidden_act": "swish"}}"#);
    assert!(activation.contains("`text_config.hidden_act` is the unknown activation `swish`"), "{activation}");
    let mobile = message(&TIMM.replace("vit_so400m_patch14_siglip_384", "fastvit_mci2"));
    assert!(mobile.contains("MobileCLIP") && mobile.contains("fastvit_mci2"), "{mobile}");
    let pooled = message(&OPEN_CLIP.replace("\"patch_size\"", "\"attentional_pool\": true, \"patch_size\""));
    assert!(pooled.contains("`model_cfg.vision_cfg.attentional_pool` is not supported"), "{pooled}");
    let resnet = message(&OPEN_CLIP.replace("\"layers\": 12, \"width\": 768", "\"layers\": [3, 4, 6, 3], \"width\": 64"));
    assert!(resnet.contains("`model_cfg.vision_cfg.layers` is [3,4,6,3]"), "{resnet}");
    let roberta = message(&OPEN_CLIP.replace("\"context_length\"", "\"hf_model_name\": \"roberta-base\", \"context_length\""));
    assert!(roberta.contains("roberta-base"), "{roberta}");
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    assert!(message(r#"{"model_type": "clip", "vision_config": {"num_attention_heads": 7}}"#).contains("7 heads"));
    assert!(message(r#"{"model_type": "clip", "vision_config": {"hidden_size": "wide"}}"#).contains("hidden_size"));
    assert!(message(r#"{"model_type": "clip", "vision_config": {"patch_size": 0}}"#).contains("patch"));
    assert!(message(r#"{"model_type": "siglip2", "vision_config": {"num_patches": 200}}"#).contains("square"));
    assert!(message("[1]").contains("not a JSON object"));
    assert!(message("{").contains("not JSON"));
}
