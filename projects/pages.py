"""The pages of the service itself: landing, sign-in, sign-out."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_safe

from projects import sign_in
from projects.models import Project, User

# Route, name and a few words; those that this installation does not have are left out.
_BROWSE = (
    ("experiment-pages", "Results", "What experiments have found out, with plots"),
    ("experiments-list", "Experiments", "Drafts, running and finished experiments"),
    ("feature_flags-list", "Feature flags", "Who gets which variant"),
    ("experiment_saved_metrics-list", "Saved metrics", "Metrics that experiments share"),
    ("experiment_holdouts-list", "Holdouts", "People kept out of experiments"),
    ("cohorts-list", "Cohorts", "Named sets of people"),
    ("activity_log-list", "Activity log", "Who changed what, and when"),
)


def _links(project: Project) -> list[dict[str, str]]:
    links = []
    for route, name, text in _BROWSE:
        try:
            url = reverse(route, kwargs={"project_id": project.pk})
        except NoReverseMatch:
            continue
        links.append({"url": url, "name": name, "text": text})
    return links


@require_safe
@never_cache
def landing(request: HttpRequest) -> HttpResponse:
    """Where people start. Other clients get the addresses as JSON."""
    if request.get_preferred_type(["application/json", "text/html"]) == "text/html":
        answer = _landing_page(request)
    else:
        answer = JsonResponse(_addresses(request))
    patch_vary_headers(answer, ["Accept", "Cookie"])
    return answer


def _landing_page(request: HttpRequest) -> HttpResponse:
    user = request.user
    project = user.current_project if isinstance(user, User) else None
    browse = [] if project is None else _links(project)
    return render(request, "projects/landing.html", {"project": project, "browse": browse})


def _addresses(request: HttpRequest) -> dict[str, str]:
    named = {
        "projects": "projects-list",
        "schema": "schema",
        "swagger_ui": "swagger-ui",
        "redoc": "redoc",
        "admin": "admin:index",
        "login": "login",
    }
    return {name: request.build_absolute_uri(reverse(route)) for name, route in named.items()}


@require_safe
@cache_control(public=True, max_age=24 * 3600)
def no_icon(request: HttpRequest) -> HttpResponse:
    """What browsers ask for on pages that name no icon, such as those of the admin site."""
    return HttpResponse(status=204)


class SignInForm(AuthenticationForm):
    """E-mail address and password."""

    username = forms.EmailField(
        label="E-mail address", widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"})
    )
    error_messages = {
        "invalid_login": "This e-mail address and password do not belong together.",
        "inactive": "This user may not sign in.",
    }


class SignInView(LoginView):
    """`/login/`, also for the admin site: starts a session of 14 days."""

    template_name = "projects/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = False  # signing in again is what keeps a session fresh

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        email = request.POST.get("username", "")
        wait = sign_in.try_once(request, email=email)
        if wait is None:
            return super().post(request, *args, **kwargs)
        unit = "second" if wait == 1 else "seconds"
        form = SignInForm(request, initial={"username": email})
        context = self.get_context_data(form=form, refusal=f"Too many attempts. Try again in {wait} {unit}.")
        return self.render_to_response(context, status=429, headers={"Retry-After": str(wait)})

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        sign_in.succeed(self.request, email=self.request.POST.get("username", ""))
        return super().form_valid(form)


class SignOutView(LogoutView):
    """`/logout/`: ends the session by POST; GET asks first, so that no link on another page can do it."""

    http_method_names = ["get", "head", "post", "options"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect("login")
        return render(request, "projects/logout.html")
