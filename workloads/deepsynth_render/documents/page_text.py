"""How much text the pages of a dataset show: counted by the render step, summed and averaged by publish."""

from deepsynth_api.v1alpha1.dataset_generation_status import PageDensity
from deepsynth_api.v1alpha1.shared.base import ApiModel


class PageText(ApiModel):
    """Sums over pages. words: between blanks, so few of them where a script sets none. The tokens are estimates."""

    words: int = 0
    characters: int = 0
    text_tokens: int = 0
    image_tokens: int = 0

    def __add__(self, other: "PageText") -> "PageText":
        return PageText(
            words=self.words + other.words,
            characters=self.characters + other.characters,
            text_tokens=self.text_tokens + other.text_tokens,
            image_tokens=self.image_tokens + other.image_tokens,
        )

    def average(self, pages: int) -> PageDensity | None:
        """None without pages."""
        if not pages:
            return None
        return PageDensity(
            words_per_page=round(self.words / pages),
            characters_per_page=round(self.characters / pages),
            image_tokens_per_page=round(self.image_tokens / pages),
            text_tokens_per_image_token=f"{self.text_tokens / self.image_tokens:.2f}",
        )
