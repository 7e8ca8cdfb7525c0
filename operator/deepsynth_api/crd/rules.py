"""CEL rules of the CRDs: what the schema of one field cannot express. Each message names the field and the remedy."""

from typing import Final

from deepsynth_api.crd.pod_rules import TEMPLATE_RULES, Rule, build_resource_rules
from deepsynth_api.v1alpha1.settings.font_settings import BUNDLED_FAMILIES

DATASET_GENERATION_RULES: Final = (
    Rule("spec", "has(self.preset) != has(self.source)", "set exactly one of preset and source"),
    Rule(
        "spec.filters",
        "!has(self.maxTextChars) || self.minTextChars <= self.maxTextChars",
        "maxTextChars must be at least minTextChars",
        ".maxTextChars",
    ),
    Rule(
        "spec.filters",
        "!has(self.maxSummaryChars) || self.minSummaryChars <= self.maxSummaryChars",
        "maxSummaryChars must be at least minSummaryChars",
        ".maxSummaryChars",
    ),
    Rule(
        "spec.source",
        "self.uri.startsWith('hf://datasets/') || !has(self.revision)",
        "revision is only for a source on the Hub (hf://datasets/OWNER/NAME); remove it",
        ".uri",
    ),
    Rule(
        "spec.source",
        "!(has(self.config) && has(self.configs) && size(self.configs) > 0)",
        "set config or configs, not both",
        ".configs",
    ),
    Rule(
        "spec.source",
        "!has(self.configs) || !('*' in self.configs) || size(self.configs) == 1",
        "configs must be ['*'] alone to read all configurations; remove the others",
        ".configs",
    ),
    Rule(
        "spec.source",
        "!has(self.configs) || size(self.configs) == 0 || self.uri != 'docstrings://'",
        "configs must not be set with docstrings://, which has no configurations; remove it",
        ".configs",
    ),
    Rule(
        "spec.page",
        "double(self.lineHeight) >= 0.8 && double(self.lineHeight) <= 4.0",
        "lineHeight must be between 0.8 and 4.0",
        ".lineHeight",
    ),
    Rule(
        "spec.page",
        "self.format != 'markdown' || self.whitespace == 'keep'",
        "whitespace must be keep with format markdown, whose code and lists depend on blanks",
        ".whitespace",
    ),
    Rule(
        "spec.page",
        "self.boxes == 'none' || self.format != 'markdown'",
        "boxes must be none with format markdown, whose pages do not show all of the text",
        ".boxes",
    ),
    Rule(
        "spec.page.augmentation",
        "double(self.skewDegrees) <= 3.0",
        "skewDegrees must be at most 3, so that lines stay apart",
        ".skewDegrees",
    ),
    Rule(
        "spec.page",
        "!has(self.augmentation) || (double(self.augmentation.blurPx) <= 4.0 && "
        "self.fontSizesPx.all(size, double(self.augmentation.blurPx) * 10.0 <= double(size)))",
        "augmentation.blurPx must be at most 4 and a tenth of the smallest of fontSizesPx, so that letters can be read",
        ".augmentation.blurPx",
    ),
    Rule(
        "spec.page",
        "!has(self.tabStopEms) || (self.format == 'plain' && self.whitespace == 'keep')",
        "tabStopEms requires format plain and whitespace keep",
        ".tabStopEms",
    ),
    Rule(
        "spec.page",
        "self.format == 'plain' || !(self.hangingIndent || has(self.hyphenation))",
        "hangingIndent and hyphenation are for format plain; remove them",
        ".format",
    ),
    Rule(
        "spec.page.fit",
        "(self.mode == 'shrink') == has(self.maxShrinkPercent)",
        "set maxShrinkPercent with mode shrink, and with no other mode",
        ".maxShrinkPercent",
    ),
    Rule(
        "spec.page.fit",
        "(self.mode == 'compression') == has(self.textTokensPerImageToken)",
        "set textTokensPerImageToken with mode compression, and with no other mode",
        ".textTokensPerImageToken",
    ),
    Rule(
        "spec.page.fit",
        "!has(self.textTokensPerImageToken) || "
        "(double(self.textTokensPerImageToken) >= 0.1 && double(self.textTokensPerImageToken) <= 50.0)",
        "textTokensPerImageToken must be between 0.1 and 50",
        ".textTokensPerImageToken",
    ),
    Rule(
        "spec",
        f"!has(self.page) || self.page.fontFamilies.all(family, family in {list(BUNDLED_FAMILIES)} || "
        "(has(self.fonts) && self.fonts.exists(font, font.name == family)))",
        f"fontFamilies must be among {', '.join(BUNDLED_FAMILIES)} and the names of your own fonts in spec.fonts",
        ".page.fontFamilies",
    ),
    Rule(
        "spec.fonts[]",
        f"!(self.name in {list(BUNDLED_FAMILIES)})",
        "name must not be that of a family that DeepSynth brings",
        ".name",
    ),
    Rule(
        "spec.fonts[]",
        "self.uri.startsWith('hf://') || !has(self.revision)",
        "revision is only for a repository on the Hub (hf://OWNER/NAME); remove it",
        ".revision",
    ),
    *TEMPLATE_RULES,
)

_GPUS: Final = "string(self.resourcesPerNode.limits['nvidia.com/gpu'])"

TRAINING_RUN_RULES: Final = (
    Rule("spec", "!(has(self.epochs) && has(self.maxSteps))", "set epochs or maxSteps, not both", ".epochs"),
    Rule(
        "spec",
        "type(self.microBatchSize) != int || self.globalBatchSize >= self.microBatchSize",
        "globalBatchSize must be at least microBatchSize",
        ".globalBatchSize",
    ),
    Rule(
        "spec",
        "!has(self.publish) || self.publish.format != 'adapter' || has(self.model.lora)",
        "format adapter requires model.lora; set model.lora, or set format to merged",
        ".publish",
    ),
    Rule(
        "spec",
        "self.sharding != 'full' || !has(self.optimizer) || self.optimizer.type == 'adamw'",
        "optimizer.type must be adamw with sharding full, which splits the moments over the GPUs",
        ".optimizer",
    ),
    Rule(
        "spec",
        "!has(self.elastic) || self.elastic.minNodes <= self.numNodes",
        "elastic.minNodes must be at most numNodes",
        ".elastic",
    ),
    Rule(
        "spec",
        "!has(self.template) || !has(self.template.resources)",
        "set resources in resourcesPerNode, not in template.resources",
        ".template",
    ),
    Rule("spec.model", "!has(self.quantize) || has(self.lora)", "quantize requires lora; set lora", ".quantize"),
    Rule(
        "spec",
        "!has(self.model.quantize) || (self.sharding != 'full' && !self.compile)",
        "model.quantize must not be set with sharding full or compile",
        ".model",
    ),
    Rule(
        "spec.model",
        "(has(self.uri) && self.uri != '') != has(self.trainingRunRef)",
        "set exactly one of uri and trainingRunRef",
    ),
    Rule(
        "spec.evaluation",
        "!has(self.bestMetric) || self.bestMetric == 'loss' || self.bestMetric in self.metrics",
        "bestMetric must also be in metrics",
        ".bestMetric",
    ),
    Rule(
        "spec.evaluation",
        "!has(self.earlyStopping) || !has(self.earlyStopping.metric) || self.earlyStopping.metric == 'loss' || "
        "self.earlyStopping.metric in self.metrics",
        "earlyStopping.metric must also be in metrics",
        ".earlyStopping",
    ),
    Rule(
        "spec",
        "!has(self.evaluation) || !has(self.evaluation.earlyStopping) || self.checkpoint.keepBest",
        "checkpoint.keepBest must be true with evaluation.earlyStopping",
        ".checkpoint",
    ),
    Rule(
        "spec.optimizer",
        "!(has(self.warmupSteps) && has(self.warmupRatio))",
        "set warmupSteps or warmupRatio, not both",
        ".warmupRatio",
    ),
    Rule(
        "spec.optimizer",
        "double(self.learningRate) > 0.0 && double(self.learningRate) <= 1.0",
        "learningRate must be above 0 and at most 1",
        ".learningRate",
    ),
    Rule("spec.optimizer", "double(self.weightDecay) <= 1.0", "weightDecay must be at most 1", ".weightDecay"),
    Rule("spec.optimizer", "self.betas.all(beta, double(beta) < 1.0)", "betas must be below 1", ".betas"),
    Rule(
        "spec.datasets[]",
        "has(self.datasetGenerationRef) != has(self.uri)",
        "set exactly one of datasetGenerationRef and uri",
    ),
    Rule(
        "spec.datasets[]",
        "!has(self.revision) || has(self.uri)",
        "revision is only for uri; a datasetGenerationRef uses the revision that was published",
        ".revision",
    ),
    Rule(
        "spec.datasets[]",
        "double(self.weight) > 0.0 && double(self.weight) <= 1000.0",
        "weight must be above 0 and at most 1000; to skip a dataset, remove it from the list",
        ".weight",
    ),
    Rule(
        "spec",
        "!has(self.numProcPerNode) || !has(self.resourcesPerNode) || !has(self.resourcesPerNode.limits) || "
        f"!('nvidia.com/gpu' in self.resourcesPerNode.limits) || !isQuantity({_GPUS}) || "
        f"!quantity({_GPUS}).isInteger() || quantity({_GPUS}).asInteger() == 0 || "
        f"quantity({_GPUS}).asInteger() >= self.numProcPerNode",
        "numProcPerNode must be at most resourcesPerNode.limits[nvidia.com/gpu]: each process needs its own GPU",
        ".numProcPerNode",
    ),
    Rule(
        "spec.cache",
        "isQuantity(string(self.sizeLimit)) && sign(quantity(string(self.sizeLimit))) > 0",
        "sizeLimit must be a positive quantity, such as 50Gi",
        ".sizeLimit",
    ),
    Rule(
        "spec.cache.features",
        "isQuantity(string(self.sizeLimit)) && sign(quantity(string(self.sizeLimit))) > 0",
        "sizeLimit must be a positive quantity, such as 20Gi",
        ".sizeLimit",
    ),
    *build_resource_rules("spec.resourcesPerNode"),
    Rule(
        "spec.tracking[]",
        "[has(self.tensorboard), has(self.wandb), has(self.mlflow)].filter(is_set, is_set).size() == 1",
        "set exactly one of tensorboard, wandb and mlflow",
    ),
    *TEMPLATE_RULES,
)
