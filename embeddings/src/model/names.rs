//! What the layouts call their tensors.

use crate::checkpoint::config::TensorNames;

/// Which of the two towers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Image,
    Text,
}

/// Queries, keys and values: one tensor, or three.
pub(super) enum Qkv {
    /// Names of the weight and of the bias.
    Fused(String, String),
    /// The stems of queries, keys and values.
    Split([String; 3]),
}

/// Stems of the tensors of a block: `.weight` and `.bias` are added.
pub(super) struct BlockNames {
    pub(super) norm1: String,
    pub(super) qkv: Qkv,
    pub(super) out: String,
    pub(super) norm2: String,
    pub(super) up: String,
    pub(super) down: String,
}

pub(super) fn block(layout: TensorNames, side: Side, index: usize) -> BlockNames {
    let names = |stem: String, [norm1, out, norm2, up, down]: [&str; 5], qkv: Qkv| BlockNames {
        norm1: format!("{stem}.{norm1}"),
        qkv,
        out: format!("{stem}.{out}"),
        norm2: format!("{stem}.{norm2}"),
        up: format!("{stem}.{up}"),
        down: format!("{stem}.{down}"),
    };
    if layout == TensorNames::HuggingFace {
        let tower = if side == Side::Image { "vision_model" } else { "text_model" };
        let stem = format!("{tower}.encoder.layers.{index}");
        let qkv = Qkv::Split(["q", "k", "v"].map(|part| format!("{stem}.self_attn.{part}_proj")));
        return names(stem, ["layer_norm1", "self_attn.out_proj", "layer_norm2", "mlp.fc1", "mlp.fc2"], qkv);
    }
    if layout == TensorNames::OpenClipTimm && side == Side::Image {
        let stem = format!("visual.trunk.blocks.{index}");
        let qkv = Qkv::Fused(format!("{stem}.attn.qkv.weight"), format!("{stem}.attn.qkv.bias"));
        return names(stem, ["norm1", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"], qkv);
    }
    let prefix = match (layout, side) {
        (_, Side::Image) => "visual.",
        (TensorNames::OpenClip, Side::Text) => "",
        (_, Side::Text) => "text.",
    };
    let stem = format!("{prefix}transformer.resblocks.{index}");
    let qkv = Qkv::Fused(format!("{stem}.attn.in_proj_weight"), format!("{stem}.attn.in_proj_bias"));
    names(stem, ["ln_1", "attn.out_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"], qkv)
}

/// Names outside of the blocks of an image tower. A stem takes `.weight` and `.bias`, the others are whole.
pub(super) struct ImageNames {
    /// Stem.
    pub(super) patch: &'static str,
    pub(super) class: &'static str,
    pub(super) position: &'static str,
    /// Stem of the norm before the blocks, of class-token towers.
    pub(super) before: &'static str,
    /// Stem of the norm after the blocks.
    pub(super) after: &'static str,
    pub(super) projection: &'static str,
    /// The projection is stored as `[in, out]`.
    pub(super) projection_is_transposed: bool,
}

pub(super) fn image(layout: TensorNames) -> ImageNames {
    match layout {
        TensorNames::HuggingFace => ImageNames {
            patch: "vision_model.embeddings.patch_embedding",
            class: "vision_model.embeddings.class_embedding",
            position: "vision_model.embeddings.position_embedding.weight",
            // Misspelt upstream.
            before: "vision_model.pre_layrnorm",
            after: "vision_model.post_layernorm",
            projection: "visual_projection.weight",
            projection_is_transposed: false,
        },
        TensorNames::OpenClip | TensorNames::OpenClipCustomText => ImageNames {
            patch: "visual.conv1",
            class: "visual.class_embedding",
            position: "visual.positional_embedding",
            before: "visual.ln_pre",
            after: "visual.ln_post",
            projection: "visual.proj",
            projection_is_transposed: true,
        },
        TensorNames::OpenClipTimm => ImageNames {
            patch: "visual.trunk.patch_embed.proj",
            class: "visual.trunk.cls_token",
            position: "visual.trunk.pos_embed",
            before: "visual.trunk.norm_pre",
            after: "visual.trunk.norm",
            projection: "visual.head.proj.weight",
            projection_is_transposed: false,
        },
    }
}

/// Names of a pooling head with a probe.
pub(super) struct MapNames {
    pub(super) probe: &'static str,
    /// Weight and bias of queries, keys and values in one, or of queries, and of keys and values.
    pub(super) attention: MapAttention,
    /// Stems.
    pub(super) out: &'static str,
    pub(super) norm: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
}

pub(super) enum MapAttention {
    /// Names of the weight and of the bias.
    Fused(&'static str, &'static str),
    /// Stems of the queries' and of the keys' and values' linear layer.
    Split(&'static str, &'static str),
}

pub(super) fn map(layout: TensorNames) -> MapNames {
    if layout == TensorNames::OpenClipTimm {
        return MapNames {
            probe: "visual.trunk.attn_pool.latent",
            attention: MapAttention::Split("visual.trunk.attn_pool.q", "visual.trunk.attn_pool.kv"),
            out: "visual.trunk.attn_pool.proj",
            norm: "visual.trunk.attn_pool.norm",
            up: "visual.trunk.attn_pool.mlp.fc1",
            down: "visual.trunk.attn_pool.mlp.fc2",
        };
    }
    MapNames {
        probe: "vision_model.head.probe",
        attention: MapAttention::Fused("vision_model.head.attention.in_proj_weight", "vision_model.head.attention.in_proj_bias"),
        out: "vision_model.head.attention.out_proj",
        norm: "vision_model.head.layernorm",
        up: "vision_model.head.mlp.fc1",
        down: "vision_model.head.mlp.fc2",
    }
}

/// Names outside of the blocks of a text tower.
pub(super) struct TextNames {
    pub(super) token: String,
    pub(super) position: String,
    /// Stem.
    pub(super) after: String,
    /// The name of a projection that is a bare matrix, and whether it is stored as `[in, out]`.
    pub(super) matrix: (String, bool),
    /// The stem of one that is a linear layer.
    pub(super) linear: String,
}

pub(super) fn text(layout: TensorNames, siglip: bool) -> TextNames {
    if layout == TensorNames::HuggingFace {
        return TextNames {
            token: "text_model.embeddings.token_embedding.weight".to_owned(),
            position: "text_model.embeddings.position_embedding.weight".to_owned(),
            after: "text_model.final_layer_norm".to_owned(),
            matrix: ("text_projection.weight".to_owned(), false),
            linear: if siglip { "text_model.head" } else { "text_projection" }.to_owned(),
        };
    }
    let prefix = if layout == TensorNames::OpenClip { "" } else { "text." };
    TextNames {
        token: format!("{prefix}token_embedding.weight"),
        position: format!("{prefix}positional_embedding"),
        after: format!("{prefix}ln_final"),
        matrix: (format!("{prefix}text_projection"), true),
        linear: format!("{prefix}text_projection"),
    }
}

/// Buffers that some checkpoints carry and that are no parameters.
pub(super) fn is_buffer(name: &str) -> bool {
    ["position_ids", "attn_mask", "num_batches_tracked"].iter().any(|end| name.ends_with(end))
}
