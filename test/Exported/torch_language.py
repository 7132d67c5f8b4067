# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Networks on tokens and sequences, for both exporters of torch.

The configurations are small; their spread of weights is large, so that an error
is not lost in a residual.
"""

from functools import partial

import torch
import transformers as hub
from family import Network, family, floats, mask, ordinals, tokens
from torch import nn
from torch.nn import functional as F

both = partial(family, "torchscript", "dynamo")
SEQUENCE = {"sequence": (11, 1, 24)}
PAST = {"sequence": (5, 1, 3), "past": (4, 9, 17)}
SMALL = dict(vocab_size=61, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
             intermediate_size=48, initializer_range=0.2, attn_implementation="eager")  # fmt: skip
IDS = tokens("input_ids", 61, "batch", "sequence")
MASK = mask("attention_mask", "batch", "sequence")


class Call(nn.Module):
    """Calls a network with arguments by name; returns some of its outputs."""

    def __init__(self, model, names, *outputs, **fixed):
        super().__init__()
        self.model, self.names, self.outputs, self.fixed = model, names, outputs, fixed

    def forward(self, *arguments):
        result = self.model(**dict(zip(self.names, arguments)), **self.fixed)
        values = tuple(getattr(result, name) for name in self.outputs)
        return values if len(values) > 1 else values[0]


def called(model, inputs, *outputs, **fixed):
    names = [input.name for input in inputs]
    return Network(Call(model, names, *outputs, **fixed), inputs, list(outputs))


@both(**SEQUENCE)
def bert():
    model = hub.BertModel(hub.BertConfig(**SMALL, max_position_embeddings=32))
    kinds = tokens("token_type_ids", 2, "batch", "sequence")
    return called(model, [IDS, MASK, kinds], "last_hidden_state", "pooler_output")


@both(**SEQUENCE)
def distilbert():
    config = hub.DistilBertConfig(vocab_size=61, dim=32, n_layers=2, n_heads=4, hidden_dim=48,
                                  max_position_embeddings=32, initializer_range=0.2)  # fmt: skip
    model = hub.DistilBertForSequenceClassification(config)
    return called(model, [IDS, MASK], "logits")


@both(**SEQUENCE)
def roberta():
    config = hub.RobertaConfig(**SMALL, max_position_embeddings=40)
    return called(hub.RobertaForTokenClassification(config), [IDS, MASK], "logits")


@both(**SEQUENCE)
def electra():
    config = hub.ElectraConfig(**SMALL, embedding_size=16, max_position_embeddings=32)
    return called(hub.ElectraModel(config), [IDS, MASK], "last_hidden_state")


def gpt2_model():
    return hub.GPT2LMHeadModel(hub.GPT2Config(
        vocab_size=61, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2,
        attn_implementation="eager"))  # fmt: skip


@both(**SEQUENCE)
def gpt2():
    return called(gpt2_model(), [IDS, MASK], "logits", use_cache=False)


class Cached(nn.Module):
    """A language model with the past keys and values of each layer as tensors."""

    def __init__(self, model, layers, ordinals):
        super().__init__()
        self.model, self.layers, self.ordinals = model, layers, ordinals

    def forward(self, ids, mask, *rest):
        named = {"position_ids": rest[0]} if self.ordinals else {}
        past = rest[len(named) :]
        pairs = [(past[2 * i], past[2 * i + 1]) for i in range(self.layers)]
        cache = hub.DynamicCache(pairs)
        result = self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **named)
        present = []
        for layer in result.past_key_values.layers:
            present += [layer.keys, layer.values]
        return (result.logits, *present)


def cached(model, heads, size, layers=2, with_ordinals=True):
    """In optimum's names."""
    inputs = [IDS, mask("attention_mask", "batch", "past + sequence")]
    if with_ordinals:
        inputs.append(ordinals("position_ids", "batch", "sequence"))
    outputs = ["logits"]
    for layer in range(layers):
        for part in ("key", "value"):
            inputs.append(floats(f"past_key_values.{layer}.{part}", "batch", heads, "past", size))
            outputs.append(f"present.{layer}.{part}")
    return Network(Cached(model, layers, with_ordinals), inputs, outputs)


@both(**PAST)
def gpt2_with_past():
    return cached(gpt2_model(), 4, 8)


def llama_model(kind="Llama", **options):
    config = getattr(hub, f"{kind}Config")(**SMALL, num_key_value_heads=2, max_position_embeddings=64, **options)
    return getattr(hub, f"{kind}ForCausalLM")(config)


@both(**SEQUENCE)
def llama():
    return called(llama_model(), [IDS, MASK], "logits", use_cache=False)


@both(**PAST)
def llama_with_past():
    return cached(llama_model(), 2, 8)


@both(**PAST)
def qwen3_with_past():
    return cached(llama_model("Qwen3", head_dim=8), 2, 8)


@both(**PAST)
def mistral_with_past():
    return cached(llama_model("Mistral", sliding_window=6), 2, 8)


@both(**PAST)
def phi_with_past():
    return cached(llama_model("Phi"), 2, 8)


@both(**SEQUENCE)
def gemma():
    return called(llama_model("Gemma", head_dim=8), [IDS, MASK], "logits", use_cache=False)


def t5_model():
    config = hub.T5Config(vocab_size=61, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
                          relative_attention_num_buckets=8, relative_attention_max_distance=16,
                          feed_forward_proj="gated-gelu", decoder_start_token_id=0)  # fmt: skip
    return hub.T5ForConditionalGeneration(config)


@both(sequence=(11, 2, 24), target=(6, 1, 19))
def t5():
    target = tokens("decoder_input_ids", 61, "batch", "target")
    return called(t5_model(), [IDS, MASK, target], "logits", use_cache=False)


@both(sequence=(11, 2, 24), target=(6, 1, 19))
def bart():
    config = hub.BartConfig(vocab_size=61, d_model=32, encoder_layers=2, decoder_layers=2,
                            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
                            decoder_ffn_dim=48, max_position_embeddings=32, init_std=0.2,
                            attn_implementation="eager")  # fmt: skip
    target = tokens("decoder_input_ids", 61, "batch", "target")
    return called(hub.BartForConditionalGeneration(config), [IDS, MASK, target], "logits", use_cache=False)


def whisper_model():
    return hub.WhisperModel(hub.WhisperConfig(
        vocab_size=61, num_mel_bins=20, d_model=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48,
        max_source_positions=50, max_target_positions=32, init_std=0.2, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, attn_implementation="eager"))  # fmt: skip


@both()
def whisper_encoder():
    features = floats("input_features", "batch", 20, 100)
    return called(whisper_model().encoder, [features], "last_hidden_state")


@both(**SEQUENCE)
def whisper_decoder():
    hidden = floats("encoder_hidden_states", "batch", 50, 32)
    return called(whisper_model().decoder, [IDS, MASK, hidden], "last_hidden_state", use_cache=False)


@both(samples=(900, 700, 1500))
def wav2vec2():
    config = hub.Wav2Vec2Config(**SMALL, conv_dim=(16, 16), conv_kernel=(10, 3), conv_stride=(5, 2),
                                num_feat_extract_layers=2, num_conv_pos_embeddings=8,
                                num_conv_pos_embedding_groups=4)  # fmt: skip
    return called(hub.Wav2Vec2ForCTC(config), [floats("input_values", "batch", "samples")], "logits")


@both(batch=(2, 1, 4), images=(3, 1, 2), **SEQUENCE)
def clip():
    part = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
    config = hub.CLIPConfig(
        text_config=dict(part, vocab_size=61, max_position_embeddings=32, eos_token_id=60),
        vision_config=dict(part, image_size=32, patch_size=8), projection_dim=24,
        attn_implementation="eager")  # fmt: skip
    pixels = floats("pixel_values", "images", 3, 32, 32)
    model = hub.CLIPModel(config)
    return called(model, [IDS, pixels, MASK], "logits_per_image", "text_embeds", "image_embeds")


@both(height=(64, 96, 32), width=(64, 32, 96))
def segformer():
    config = hub.SegformerConfig(num_encoder_blocks=3, depths=[1, 1, 1], sr_ratios=[4, 2, 1],
                                 hidden_sizes=[8, 16, 32], patch_sizes=[7, 3, 3], strides=[4, 2, 2],
                                 num_attention_heads=[1, 2, 4], mlp_ratios=[2, 2, 2],
                                 decoder_hidden_size=16, num_labels=5, initializer_range=0.2)  # fmt: skip
    image = floats("pixel_values", "batch", 3, "height", "width")
    return called(hub.SegformerForSemanticSegmentation(config), [image], "logits")


@both()
def detr():
    backbone = hub.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic",
                                out_features=["stage2"])  # fmt: skip
    config = hub.DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
                            backbone_config=backbone, num_queries=7, d_model=32, encoder_layers=1,
                            decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
                            encoder_ffn_dim=48, decoder_ffn_dim=48, init_std=0.2, num_labels=5,
                            attn_implementation="eager")  # fmt: skip
    image = floats("pixel_values", "batch", 3, 64, 96)
    return called(hub.DetrForObjectDetection(config), [image], "logits", "pred_boxes")


@both()
def mamba():
    """The scan of a state space, unrolled over a known length."""
    config = hub.MambaConfig(vocab_size=61, hidden_size=16, num_hidden_layers=1, state_size=4,
                             initializer_range=0.2)  # fmt: skip
    ids = tokens("input_ids", 61, "batch", 6)
    return called(hub.MambaForCausalLM(config), [ids], "logits", use_cache=False)


class Classifier(nn.Module):
    def __init__(self, cell, **options):
        super().__init__()
        self.embed = nn.Embedding(61, 16)
        self.body = cell(16, 24, batch_first=True, **options)
        self.head = nn.Linear(24 * (2 if options.get("bidirectional") else 1), 5)

    def forward(self, ids):
        steps, last = self.body(self.embed(ids))
        last = last[0] if isinstance(last, tuple) else last
        return self.head(steps.mean(1)), last.transpose(0, 1)


def classifier(cell, **options):
    return Network(Classifier(cell, **options), [IDS], ["y", "state"])


@both(**SEQUENCE)
def lstm():
    return classifier(nn.LSTM, num_layers=2)


@both(**SEQUENCE)
def bidirectional_lstm():
    return classifier(nn.LSTM, bidirectional=True)


@both(**SEQUENCE)
def gru():
    return classifier(nn.GRU, num_layers=2, bidirectional=True)


@both(**SEQUENCE)
def elman():
    return classifier(nn.RNN, nonlinearity="relu")


@both(**SEQUENCE)
def text_convolution():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(61, 16)
            self.windows = nn.ModuleList([nn.Conv1d(16, 12, n, padding=n - 1) for n in (2, 3, 4)])
            self.head = nn.Linear(36, 5)

        def forward(self, ids):
            x = self.embed(ids).transpose(1, 2)
            return self.head(torch.cat([F.relu(window(x)).amax(-1) for window in self.windows], -1))

    return Network(Windows(), [IDS])


# The TorchScript exporter writes the sizes of its example into torch's attention.
@family("dynamo", sequence=(11, 2, 24), target=(6, 1, 19))
def transformer():
    """torch's own encoder and decoder, with a causal mask."""

    class Translate(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(61, 32)
            self.body = nn.Transformer(32, 4, 1, 1, 48, batch_first=True, norm_first=True, activation="gelu")

        def forward(self, ids, target):
            mask = torch.full((target.shape[1], target.shape[1]), float("-inf")).triu(1)
            return self.body(self.embed(ids), self.embed(target), tgt_mask=mask, tgt_is_causal=True)

    return Network(Translate(), [IDS, tokens("target_ids", 61, "batch", "target")])


@both(**SEQUENCE)
def mixture_of_experts():
    """All experts, weighted by the two that a router picks."""

    class Mixture(nn.Module):
        def __init__(self, experts=4, size=16):
            super().__init__()
            self.embed, self.router = nn.Embedding(61, size), nn.Linear(size, experts)
            self.first = nn.Parameter(torch.randn(experts, size, 24) * 0.2)
            self.second = nn.Parameter(torch.randn(experts, 24, size) * 0.2)

        def forward(self, ids):
            x = self.embed(ids)
            weights, picked = self.router(x).softmax(-1).topk(2, -1)
            weights = weights / weights.sum(-1, keepdim=True)
            gates = torch.zeros_like(self.router(x)).scatter(-1, picked, weights)
            h = F.silu(torch.einsum("bsd,edf->bsef", x, self.first))
            y = torch.einsum("bsef,efd->bsed", h, self.second)
            return x + torch.einsum("bsed,bse->bsd", y, gates)

    return Network(Mixture(), [IDS])
