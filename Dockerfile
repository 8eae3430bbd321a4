FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1
WORKDIR /srv/experiments

COPY requirements.lock .
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements.lock

COPY . .
RUN python -m compileall -q . && useradd --system --no-create-home experiments
USER experiments

EXPOSE 8000
# The worker runs `python manage.py worker`, a migration `python manage.py migrate`, from the same image.
CMD ["python", "-m", "experiments_service.web", "--host", "0.0.0.0"]
